"""How far runs have come, read from their files, and a bar that shows it while they train."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS = 0.5  # between two looks at the files
TAIL = 4096  # bytes of a file that hold its last row


def epochs_done(folder: Path) -> float:
    """Return the number of epochs that a run has made, with fractions; 0 before its first log."""
    path = folder / "curves.csv"
    if not path.exists():
        return 0.0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        rows = file.read().decode().split("\n")[:-1]  # whole rows; the first may be half of one
    fields = rows[-1].split(",") if rows else []
    return float(fields[1]) if len(fields) == 4 and fields[0].isdigit() else 0.0


@contextmanager
def bar(text: str, total: float, done: Callable[[], float]) -> Iterator[None]:
    """Show a bar on standard error while this context lasts, in a terminal only.

    Args:
        text: What the work is.
        total: The amount of work.
        done: Returns how much of it is done.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"),
               TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())  # fmt: skip
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal,
                     redirect_stdout=sys.stdout.isatty())  # fmt: skip
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS):
            shown.update(task, completed=done())

    with shown:
        task = shown.add_task(text, total=total)
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def epochs_of(folders: Sequence[Path]) -> float:
    """Return the number of epochs that several runs have made together."""
    return sum(epochs_done(folder) for folder in folders)
