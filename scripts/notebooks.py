"""Writes the lessons as notebooks, which also open in a browser without a clone.

    ./scripts/run notebooks all     # or the number of a lesson

scripts/lessons/N_NAME.ipynb is the lesson N_NAME.py, converted by jupytext, with a cell that
fetches the project where it is missing. The notebooks are committed, since a hosted service opens
them by address, without results, so that a change of a lesson is a small difference. Run this
after a change of a lesson, or of the address of the repository, `Repository` in pyproject.toml.
"""
# extra: notebooks

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from scripts.lesson import lessons
from scripts.shared.options import ToolParser
from scripts.shared.tables import PROJECT
from src.files import write_whole

PAGES = ("README.md", "scripts/README.md")
SET_UP = """\
# Run the cells in order. Where the project is missing, this one fetches it; else it does nothing.
import sys
from pathlib import Path

if not Path("kit.py").exists():
    !git clone --quiet --depth 1 {repository}
    %pip install --quiet ./{name}
    %cd {name}/scripts/lessons
    sys.path.insert(0, str(Path.cwd().parents[1]))"""


def repository() -> str:
    """Return the address of the repository."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["project"]["urls"]["Repository"]


def notebook(lesson: Path) -> Any:
    """Return a lesson as a notebook, with a cell for the set-up after the title."""
    import jupytext
    from nbformat.v4 import new_code_cell

    book = jupytext.read(lesson)
    _docstring, title, *cells = book.cells
    name = repository().rpartition("/")[2]
    set_up = new_code_cell(SET_UP.format(repository=repository(), name=name))
    book.cells = [title, set_up, *cells]
    seen: Counter[str] = Counter()
    for cell in book.cells:  # ids are random otherwise, and no two may be the same
        cell.id = f"{crc32(cell.source.encode(), seen[cell.source]):08x}"
        seen[cell.source] += 1
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return book


def linked(page: str, address: str) -> str:
    """Return a README whose links to notebooks lead to the repository at an address."""
    name = address.removeprefix("https://github.com/")
    return re.sub(r"(?<=colab\.research\.google\.com/github/)[\w.-]+/[\w.-]+", name, page)


def main(args: Sequence[str] | None = None) -> None:
    parser = ToolParser("notebooks", __doc__)
    numbers = ["all", *map(str, lessons())]
    parser.add_argument("which", nargs="?", choices=numbers, help="a lesson, or all")
    which = parser.parse_args(args).which
    if which is None:
        parser.error("say which lesson: all, or its number")
    import nbformat

    chosen = [path for number, path in lessons().items() if which in ("all", str(number))]
    for lesson in chosen:
        text = nbformat.writes(notebook(lesson)) + "\n"
        write_whole(lesson.with_suffix(".ipynb"), text.encode())
    for page in PAGES:
        path = PROJECT / page
        write_whole(path, linked(path.read_text(encoding="utf-8"), repository()).encode())
    names = ", ".join(path.stem for path in chosen)
    print(f"{names}; links to {repository()} in {' and '.join(PAGES)}")


if __name__ == "__main__":
    main()
