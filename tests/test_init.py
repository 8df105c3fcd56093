"""The guard that lets torch and torchvision of different builds live together."""

import subprocess
import sys

from tests.conftest import PROJECT

# A torchvision that wants an operator of a C++ library that could not be loaded, as the CUDA
# build does beside a CPU-only torch.
BROKEN = """
import importlib, importlib.util, sys, types
tried = []
def import_module(name, original=importlib.import_module):
    if name != "torchvision":
        return original(name)
    import torch
    for operator in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, operator):
            tried.append(operator)
            raise RuntimeError(f"operator torchvision::{operator} does not exist")
importlib.import_module = import_module
"""


def python(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return result.stdout + result.stderr


def test_torchvision_and_lightning_can_be_imported_after_the_package() -> None:
    out = python("import src, torchvision.datasets, torchvision.transforms.v2; print('fine')")
    assert "fine" in out


def test_missing_operators_are_declared_and_the_import_tried_again() -> None:
    stub = BROKEN + "import torch.library\nimport src\nprint('declared', tried)"
    assert "declared ['nms', 'qnms']" in python(stub)


def test_another_error_of_torchvision_is_not_hidden() -> None:
    message = 'f"operator torchvision::{operator} does not exist"'
    assert message in BROKEN
    assert "disk on fire" in python(BROKEN.replace(message, '"disk on fire"') + "import src")
