"""Progress bar of long work other than training, shown in a terminal only."""

from collections.abc import Iterable, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def with_bar(
    items: Iterable[Item], text: str, total: int | None = None, least: int = 0
) -> Iterable[Item]:
    """Return the items, with a bar on standard error that is removed at the end.

    Args:
        items: What the work is done for, one by one.
        text: What the work is.
        total: The number of items; by default their length.
        least: Show no bar for fewer items.
    """
    console = Console(stderr=True)
    few = isinstance(items, Sized) and len(items) < least
    hidden = few or not console.is_terminal
    return track(items, text, total, console=console, transient=True, disable=hidden)
