"""src.libraries can import a torchvision built for another torch, and speeds up the imports."""

import subprocess
import sys

import pytest

from tests.conftest import PROJECT

# Imitates a torchvision that needs operators of a C++ library that could not be loaded, such as a
# CUDA build with a CPU-only torch.
BROKEN = """
import importlib, importlib.util, sys, types
tried = []
def import_module(name, package=None, original=importlib.import_module):
    if name != "torchvision":
        return original(name, package)
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


def test_missing_operators_are_declared_and_the_import_is_repeated() -> None:
    stub = BROKEN + "from src.torchvision_compat import import_torchvision as made\nmade()\n"
    stub += "print('declared', tried)"  # without Lightning, which imports the real one
    assert "declared ['nms', 'qnms']" in python(stub)


def test_another_error_of_torchvision_is_not_hidden() -> None:
    message = 'f"operator torchvision::{operator} does not exist"'
    assert message in BROKEN
    broken = BROKEN.replace(message, '"disk on fire"')
    assert "disk on fire" in python(broken + "import src.libraries")
    caught = "try:\n import src.libraries\nexcept RuntimeError:\n import gc\n print(gc.isenabled())"
    assert "True" in python(broken + caught)


def test_after_the_imports_garbage_collection_is_on_and_skips_imported_objects() -> None:
    out = python(
        "import src.libraries, torchvision.datasets, torchvision.transforms.v2, gc\n"
        "print('on', gc.isenabled(), gc.get_freeze_count())"
    )
    assert int(out.split("on True ")[1]) > 100_000


# Replaces the imports by a record of whether the garbage collector was on.
RECORDED = """
import gc, importlib.util, unittest.mock
states = []
def import_module(name):
    states.append(gc.isenabled())
    return unittest.mock.Mock()
importlib.import_module = import_module
"""


@pytest.mark.parametrize("was_on", [True, False])
def test_the_garbage_collector_is_off_during_the_imports_and_then_restored(was_on: bool) -> None:
    before = "" if was_on else "gc.disable()\n"
    out = python(
        RECORDED + before + "import src.libraries\nprint('on', set(states), gc.isenabled())"
    )
    assert f"on {{False}} {was_on}" in out
