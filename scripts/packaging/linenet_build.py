"""Builds the wheel: src becomes the package `linenet`, with configs/ and scripts/ in it.

pip and uv call these functions, which PEP 517 names (https://peps.python.org/pep-0517/). Setuptools
does the work; only the wheel is built from a copy in which names are replaced, so that it brings
no package called `src`. An editable installation is the clone as it is.
"""

import contextlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (  # noqa: F401  (PEP 517 looks for them here)
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
)

OF_A_CLONE = (  # of scripts/: what starts a clone, or measures it and writes into its pages
    "packaging", "slurm", "run", "run.ps1", "setup", "test",
    "bench", "faults", "notebooks.py", "pictures.py", "results.py",
)  # fmt: skip
RENAMED = (  # patterns and their replacements, in this order
    (r"python -m src\.cli", "linenet"),
    (r"\./scripts/run\b", "linenet"),
    (r"\./scripts/setup (\w+)", r"pip install 'linenet[\1]'"),
    (r"\b(from|import) src\b", r"\1 linenet"),
    (r"\bsrc\.(?=[a-z])", "linenet."),
    (r"(?<![\w.])scripts\.(?=[a-z_]+[\w.]*)(?!py\b)", "linenet.scripts."),
    (r"^packages\.find\.include = .*", 'packages.find.include = ["linenet*"]'),
)
TEXTS = (".py", ".toml", ".yaml", ".html")


def build_wheel(folder: str, settings: Any = None, metadata: str | None = None) -> str:
    """Build the wheel into a folder, and return its name."""
    target = str(Path(folder).resolve())
    with tempfile.TemporaryDirectory() as place:
        renamed(Path.cwd(), Path(place))
        with contextlib.chdir(place):
            return build_meta.build_wheel(target, settings)


def renamed(clone: Path, place: Path) -> None:
    """Copy the project into an empty folder, with src as linenet and the others in it."""
    for name, target in (("src", "."), ("configs", "configs"), ("scripts", "scripts")):
        shutil.copytree(
            clone / name, place / "linenet" / target, ignore=left_out, dirs_exist_ok=True
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(clone / name, place)
    for path in place.rglob("*"):
        if path.suffix in TEXTS:
            text = path.read_text(encoding="utf-8")
            for pattern, words in RENAMED:
                text = re.sub(pattern, words, text, flags=re.MULTILINE)
            path.write_text(text, encoding="utf-8")


def left_out(folder: str, names: list[str]) -> set[str]:
    """Return which of the names in a folder do not go into the wheel."""
    caches = {name for name in names if name in ("__pycache__", "schema.json", "local.yaml")}
    return caches | ({*OF_A_CLONE} if Path(folder).name == "scripts" else set())
