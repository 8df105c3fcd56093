"""Imported once by the process that all runs are forked from: imports libraries, reads the data."""

import json
import os
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from io import StringIO

os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # CUDA itself must not start here

import src.libraries  # noqa: F401  (first)

# isort: split
import torch

from scripts.many.resolved import Reader
from scripts.many.warm import WORDS
from src.cli import main as linenet
from src.data.shared import share
from src.runs.code_state import changes, git_state
from src.runs.provenance import packages, versions

torch.set_num_threads(1)  # threads of OpenMP would not exist in a forked process, and block it
for kept in (git_state, changes, versions, packages):  # each run would call git several times
    kept()
if words := json.loads(os.environ.get(WORDS, "[]")):
    share()
    # The caller reads the data, too, and shows what is wrong.
    with suppress(SystemExit), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        linenet(["fit", *words], cli=partial(Reader, read=True))
