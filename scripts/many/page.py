"""The page of a group of runs: its result, its pictures, and tables with links to the runs."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

Link = tuple[str, str]  # text and address
Rows = Sequence[Sequence[str | Link]]  # the first row has the names of the columns


def warning_of(source: str) -> str:
    """Return the source of data that stands in for MNIST: no result is shown without it."""
    return source if "NOT MNIST" in source else ""


def page(
    title: str, verdict: str, parts: Mapping[str, Rows | bytes], command: str, warning: str = ""
) -> str:
    """Return a self-contained page.

    Args:
        title: What was done.
        verdict: The result in a few words.
        parts: A table under its heading, or the bytes of a PNG file with its caption.
        command: The command that repeats the group.
        warning: What must not be missed.
    """
    place = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=place, autoescape=True, undefined=StrictUndefined)
    pictures = {
        name: b64encode(part).decode() for name, part in parts.items() if isinstance(part, bytes)
    }
    return template.get_template("page.html").render(
        title=title, verdict=verdict, parts=parts, pictures=pictures, command=command,
        warning=warning,
    )  # fmt: skip
