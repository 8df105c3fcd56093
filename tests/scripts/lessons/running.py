"""Runs a lesson as a user does, with its pictures in a temporary folder."""

import json
import re
import runpy
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from scripts.lesson import LESSONS

Run = SimpleNamespace  # the variables of a lesson, its `text` and the folder of its `pictures`


def run_lesson(file: str, folder: Path, *changes: tuple[str, str]) -> Run:
    """Run a lesson, optionally with replaced parts of its source.

    Returns:
        Its variables, the printed text, and the folder of its pictures.
    """
    source = (LESSONS / file).read_text()
    for old, new in changes:
        assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in {file}"
        source = source.replace(old, new)
    path = LESSONS / file
    if changes:
        path = folder / file
        path.write_text(source)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as text:
        patch.setattr(sys, "path", [str(LESSONS), *sys.path])
        patch.chdir(folder)
        import kit

        patch.setattr(kit, "PICTURES", folder / "lightning_logs/lessons")
        names = runpy.run_path(str(path), run_name="__main__")
    return Run(**names, text=text.getvalue(), pictures=folder / "lightning_logs/lessons")


def fails_when_broken(file: str, right: str, wrong: str, folder: Path) -> str:
    """Replace a formula of a lesson by a wrong one, and return the error message."""
    with pytest.raises(AssertionError) as error:
        run_lesson(file, folder, (right, wrong))
    return str(error.value)


def assert_drawn(run: Run, names: Sequence[str]) -> None:
    """Assert that exactly these pictures were written and printed, and are not blank."""
    files = [path.name for path in run.pictures.iterdir() if path.is_file()]
    assert sorted(files) == sorted(names)
    for name in names:
        assert f"picture: lightning_logs/lessons/{name}\n" in run.text
        with Image.open(run.pictures / name) as image:
            assert image.format == name[-3:].upper()
            pixels = np.asarray(image.convert("RGB")).astype(float)
        assert min(pixels.shape[:2]) > 200
        assert pixels.std() > 10
        edge = np.concatenate([pixels[[0, -1]].reshape(-1, 3), pixels[:, [0, -1]].reshape(-1, 3)])
        assert (edge > 250).all(), f"{name} is cut at its edge"


def value(run: Run, what: str) -> np.ndarray:
    """Return the value that `check` printed."""
    found = re.search(rf"^{re.escape(what)} +(\S.*?)   expected", run.text, re.MULTILINE)
    assert found, f"{what} was not printed"
    return np.array(json.loads(found[1]), dtype=float)


def assert_cells(file: str) -> None:
    """Assert that each cell is valid in a notebook: text, or complete statements."""
    first, *cells = (LESSONS / file).read_text().split("\n# %%")
    assert re.match(rf'"""Lesson {file[0]}\. [^:\n]+: [^\n]+\.(\n|""")', first)
    for cell in cells:
        if cell.startswith(" [markdown]\n"):
            lines = cell.splitlines()[1:]
            assert all(line.startswith("#") or not line for line in lines), lines
            assert any(lines)
            assert all(line.count("$") % 2 == 0 for line in lines), "a formula over two lines"
        else:
            compile(cell, file, "exec")
