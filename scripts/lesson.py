"""Runs a lesson: its values beside those worked out by hand, and its pictures.

    ./scripts/run lesson        lists the lessons
    ./scripts/run lesson 3      runs the third

The text is in the file, in scripts/lessons/: plain cells, which also open as a notebook in VS Code
or Jupyter. Pictures go to lightning_logs/lessons/.
"""

import argparse
import ast
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import src.libraries  # noqa: F401  (first)

LESSONS = Path(__file__).resolve().parent / "lessons"


def lessons() -> dict[int, Path]:
    """Return the file of each lesson by its number."""
    return {int(path.name[0]): path for path in sorted(LESSONS.glob("[0-9]_*.py"))}


def heading(path: Path) -> str:
    """Return the first line of a lesson, which says what it is about."""
    return str(ast.get_docstring(ast.parse(path.read_text()))).partition("\n")[0]


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="lesson", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("number", nargs="?", type=int, choices=lessons(), help="which to run")
    number = parser.parse_args(args).number
    if number is None:
        print("\n".join(heading(path) for path in lessons().values()))
        return
    sys.path.insert(0, str(LESSONS))  # as Python itself does for a file that it runs
    path = lessons()[number]
    runpy.run_path(str(path), run_name="__main__")
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    print(f"\nThe text that goes with these values, and exercises: {shown}")


if __name__ == "__main__":
    main()
