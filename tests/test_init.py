"""The guard that lets torch and torchvision of different builds live together."""

import subprocess
import sys

import pytest

from tests.conftest import PROJECT

# A torchvision that wants an operator of a C++ library that could not be loaded, as the CUDA
# build does beside a CPU-only torch.
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


def test_torchvision_and_lightning_can_be_imported_after_the_package() -> None:
    out = python(
        "import src.libraries, torchvision.datasets, torchvision.transforms.v2; print('fine')"
    )
    assert "fine" in out


def test_missing_operators_are_declared_and_the_import_tried_again() -> None:
    stub = BROKEN + "import torch.library\nimport src.libraries\nprint('declared', tried)"
    assert "declared ['nms', 'qnms']" in python(stub)


def test_another_error_of_torchvision_is_not_hidden() -> None:
    message = 'f"operator torchvision::{operator} does not exist"'
    assert message in BROKEN
    broken = BROKEN.replace(message, '"disk on fire"')
    assert "disk on fire" in python(broken + "import src.libraries")
    caught = "try:\n import src.libraries\nexcept RuntimeError:\n import gc\n print(gc.isenabled())"
    assert "True" in python(broken + caught)


def test_the_garbage_collector_goes_on_and_leaves_what_was_imported_alone() -> None:
    out = python("import src.libraries, gc; print('on', gc.isenabled(), gc.get_freeze_count())")
    assert int(out.split("on True ")[1]) > 100_000


# Imports nothing, but notes whether the garbage collector was on.
NOTED = """
import gc, importlib.util, unittest.mock
noted = []
def import_module(name):
    noted.append(gc.isenabled())
    return unittest.mock.Mock()
importlib.import_module = import_module
"""


@pytest.mark.parametrize("was_on", [True, False])
def test_the_garbage_collector_rests_while_importing_and_is_then_as_it_was(was_on: bool) -> None:
    before = "" if was_on else "gc.disable()\n"
    out = python(NOTED + before + "import src.libraries\nprint('on', set(noted), gc.isenabled())")
    assert f"on {{False}} {was_on}" in out
