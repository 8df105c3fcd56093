"""Where configs and tools are, and what this package is called: in a clone, and once installed.

A clone has src/, configs/ and scripts/ side by side. In a wheel, src is the package `linenet`, with
the other two in it (see scripts/packaging). Files that either has written can be read by the other.
"""

import re
import sys
from os.path import relpath
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
NAME = __name__.partition(".")[0]  # src in a clone, linenet in a wheel
INSTALLED = (_PACKAGE / "configs").is_dir()
PROJECT = _PACKAGE if INSTALLED else _PACKAGE.parent
CONFIGS = PROJECT / "configs"
TOOLS = PROJECT / "scripts"
OURS = re.compile(r"^(src|linenet)\.(?=[a-z])")  # what a dotted name of this project begins with


def named_here(values: Any) -> Any:
    """Return settings in which classes of this project have the dotted names they have here."""
    if isinstance(values, dict):
        return {key: named_here(value) for key, value in values.items()}
    if isinstance(values, list):
        return [named_here(value) for value in values]
    return OURS.sub(f"{NAME}.", values) if isinstance(values, str) else values


def to_install(extra: str) -> str:
    """Return the command that installs an extra of pyproject.toml into this environment."""
    if INSTALLED:
        return f"pip install 'linenet[{extra}]'"
    if Path(sys.prefix) == PROJECT / ".venv":  # which may have no pip
        return f"./scripts/setup {extra}"
    return f"pip install -e '{shown(PROJECT)}[{extra}]'"


def shown(path: Path) -> str:
    """Return a path as a person would type it: relative where that is shorter."""
    try:
        return min(relpath(path), str(path), key=len)
    except ValueError:  # Windows has no relative path to another drive
        return str(path)
