"""The CPU threads of a run, which a tool divides among the runs that it trains at once."""

import os

import torch
from jsonargparse import Namespace

SHARE = "LINENET_THREADS"  # environment variable: the threads of each run, set by such a tool


def use_threads(config: Namespace) -> None:
    """Compute with the threads that the user or a tool has chosen, and keep their number."""
    config.threads = int(os.environ.get(SHARE, 0)) or config.threads
    if config.threads:
        torch.set_num_threads(config.threads)
