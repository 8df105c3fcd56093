"""The page of a group of runs: its result, its pictures, and a table with links to the runs."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from src.files import write_whole

Link = tuple[str, str]  # text and address


def write_page(
    path: Path,
    title: str,
    verdict: str,
    tables: Mapping[str, Sequence[Sequence[str | Link]]],
    pictures: Mapping[str, bytes],
    command: str,
) -> None:
    """Write a self-contained page.

    Args:
        path: The file.
        title: What was done.
        verdict: The result in a few words.
        tables: By heading, rows of texts and links; the first row has the names of the columns.
        pictures: By caption, the bytes of PNG files.
        command: The command that repeats the group.
    """
    place = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=place, autoescape=True, undefined=StrictUndefined)
    shown = {caption: b64encode(content).decode() for caption, content in pictures.items()}
    text = template.get_template("page.html").render(
        title=title, verdict=verdict, tables=tables, pictures=shown, command=command
    )
    write_whole(path, text)
