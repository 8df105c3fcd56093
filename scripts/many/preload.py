"""Imported once by the process that all runs are forked from: imports libraries, reads the data."""

import json
import os
from functools import partial

import src.libraries  # noqa: F401  (first)

# isort: split
import torch

from scripts.many.resolved import Reader
from src.cli import main as linenet
from src.data.shared import share
from src.runs.provenance import git_state, versions

WORDS = "LINENET_PRELOAD"  # environment variable: the words of `fit` whose data is read

torch.set_num_threads(1)  # threads of OpenMP would not exist in a forked process, and block it
git_state(), versions()  # they are kept: each run would call git three times
if words := json.loads(os.environ.get(WORDS, "[]")):
    share()
    linenet(["fit", *words], cli=partial(Reader, read=True))
