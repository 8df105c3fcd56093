"""The HTML page of `compare`, which needs no other file."""

import base64
import html
from collections.abc import Sequence
from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Runs compared</title>
<style>
  body { font: 16px/1.4 sans-serif; max-width: 64rem; margin: 1rem auto; padding: 0 1rem }
  div { overflow-x: auto }
  table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums }
  th, td { padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1px solid #ccc; text-align: left }
  .number { text-align: right; white-space: nowrap }
  p { margin: 0.4rem 0 }
  img { max-width: 100% }
</style>
<h1>Runs compared</h1>
<div><table>
$rows
</table></div>
$verdicts
$pictures
$notes
</html>
""")


def page(
    rows: list[list[str]],
    names: list[str],
    verdicts: Sequence[str],
    pictures: dict[str, bytes],
    notes: Sequence[str],
) -> str:
    """Return table, verdicts and pictures as a self-contained HTML page.

    Args:
        rows: The cells of the table, with the column names in the first row.
        names: The label of each row.
        verdicts: What the tests say.
        pictures: PNG files by what they show.
        notes: What is missing, and what users have noted.
    """
    texts = rows[0].index("seeds")  # columns
    tags = ["th", *["td"] * len(names)]
    return PAGE.substitute(
        rows="\n".join(
            line(tag, texts, name, row)
            for tag, name, row in zip(tags, ["run", *names], rows, strict=True)
        ),
        verdicts=paragraphs(verdicts),
        pictures="\n".join(image(name, data) for name, data in pictures.items()),
        notes=paragraphs(notes),
    )


def line(tag: str, texts: int, name: str, row: list[str]) -> str:
    """Return a row of the table: name and numbers, then the settings, which may be many."""
    kinds = ["text", *["number"] * len(row[texts:]), *["text"] * texts]
    marked = zip(kinds, [name, *row[texts:], *row[:texts]], strict=True)
    cells = "".join(f'<{tag} class="{k}">{html.escape(cell)}</{tag}>' for k, cell in marked)
    return f"<tr>{cells}</tr>"


def image(name: str, data: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<p><img alt="{name}" src="{source}"></p>'


def paragraphs(texts: Sequence[str]) -> str:
    return "\n".join(f"<p>{html.escape(text)}</p>" for text in texts)
