"""Runs a lesson: prints its values beside the expected ones, draws pictures.

    ./scripts/run lesson        lists the lessons
    ./scripts/run lesson 3      runs the third

The lessons with their text are the files in scripts/lessons/, which also open as notebooks in VS
Code or Jupyter. Pictures are written to lightning_logs/lessons/.
"""

import ast
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import src.libraries  # noqa: F401  (first)
from scripts.shared.options import ToolParser
from src.places import TOOLS

LESSONS = TOOLS / "lessons"


def lessons() -> dict[int, Path]:
    """Return the file of each lesson by number."""
    return {int(path.name[0]): path for path in sorted(LESSONS.glob("[0-9]_*.py"))}


def heading(path: Path) -> str:
    """Return the first line of a lesson's docstring."""
    return str(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))).partition("\n")[0]


def main(args: Sequence[str] | None = None) -> None:
    parser = ToolParser("lesson", __doc__)
    parser.add_argument(
        "number", nargs="?", type=int, choices=lessons(), help="lesson to run; default list them"
    )
    number = parser.parse_args(args).number
    if number is None:
        print("\n".join(heading(path) for path in lessons().values()))
        return
    sys.path.insert(0, str(LESSONS))  # as `python FILE` does
    path = lessons()[number]
    runpy.run_path(str(path), run_name="__main__")
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    print(f"\nText and exercises of this lesson: {shown}")


if __name__ == "__main__":
    main()
