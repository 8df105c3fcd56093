"""The CPU threads of a run, which a tool divides among the runs that it trains at once."""

import os
from multiprocessing import parent_process

import torch
from jsonargparse import Namespace

SHARE = "LINENET_THREADS"  # environment variable: the threads of a run, in a process of a tool


def use_threads(config: Namespace) -> None:
    """Compute with the threads that the user or a tool has chosen, and keep their number.

    The variable counts only where a tool has set it: left over in a shell, it is ignored.
    """
    of_tool = os.environ.get(SHARE) if parent_process() else None
    config.threads = int(of_tool) if of_tool else config.threads
    if config.threads:
        torch.set_num_threads(config.threads)
