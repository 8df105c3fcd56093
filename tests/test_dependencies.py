"""Every import is of a declared dependency, and the base install needs nothing of the extras."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import PROJECT

PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
COMES_WITH = {
    "torchmetrics": "lightning", "pyyaml": "jsonargparse", "sqlalchemy": "optuna",
    "fastapi": "gradio", "starlette": "gradio", "uvicorn": "gradio",
    "nbformat": "jupytext", "ipython": "ipykernel",
}  # fmt: skip
EXTRA_LINE = re.compile(r"^# extra: *(\w+)$", re.MULTILINE)


def normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(Requirement(one).name) for one in requirements} - {"linenet"}


BASE = names(PROJECT_TABLE["dependencies"])
EXTRAS = {name: names(found) for name, found in PROJECT_TABLE["optional-dependencies"].items()}
DISTRIBUTIONS = packages_distributions()


def imported(file: Path) -> set[str]:
    """Return the distributions that a file imports from, at its top or in functions."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).split(".")[0])
    beside = {path.stem for path in file.parent.iterdir()}
    foreign = modules - sys.stdlib_module_names - beside - {"src", "scripts", "tests"}
    found = {normal(DISTRIBUTIONS.get(name, [name])[0]) for name in foreign}
    return found - {"setuptools"}  # builds the wheel


def extra_of(file: Path) -> str | None:
    """Return the extra that a file is for, or the tool that it belongs to."""
    if file.name == "trackio_logger.py":
        return "trackio"  # chosen by its overlay
    if file.is_relative_to(PROJECT / "scripts/lessons"):
        return "notebooks"  # which they use only where one runs
    folder = file.parent if file.parent.name != "scripts" else None
    tool = folder / "__main__.py" if folder else file
    found = EXTRA_LINE.search(tool.read_text()) if tool.exists() else None
    return found[1] if found else None


FILES = [*(PROJECT / "src").rglob("*.py"), *(PROJECT / "scripts").rglob("*.py")]


def allowed(file: Path) -> set[str]:
    """Return the distributions that a file may import from."""
    extra = extra_of(file)
    declared = BASE | (EXTRAS[extra] if extra else set())
    return declared | {name for name, parent in COMES_WITH.items() if parent in declared}


def test_a_file_imports_only_what_is_declared_for_it() -> None:
    undeclared = {str(file): imported(file) - allowed(file) for file in FILES}
    assert not {file: names for file, names in undeclared.items() if names}


@pytest.mark.parametrize(("name", "parent"), COMES_WITH.items())
def test_what_comes_with_another_package_is_required_by_it(name: str, parent: str) -> None:
    assert name in names(requires(parent) or [])


@pytest.mark.slow
def test_the_base_install_works_without_the_extras() -> None:
    """All of src, and each tool that names no extra, is imported where extras are missing."""
    beyond = set.union(*EXTRAS.values()) - BASE
    missing = sorted(name for name, found in DISTRIBUTIONS.items() if normal(found[0]) in beyond)
    apart = {"lessons", "packaging"}  # run beside their own files
    files = [file for file in FILES if not extra_of(file) and not apart & {*file.parts}]
    paths = [file.relative_to(PROJECT).with_suffix("").parts for file in files]
    modules = sorted(".".join(path).removesuffix(".__init__") for path in paths)
    script = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({missing}))\n"  # None: the import fails
        "import src.libraries\n"
        f"for name in {modules}: importlib.import_module(name)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
