"""Formats the table of `compare` for the terminal, as CSV and as HTML."""

import base64
import csv
import html
import io
from statistics import mean, stdev
from string import Template

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.compare.runs import Group, differing, values

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
  img { max-width: 100% }
</style>
<h1>Runs compared</h1>
<div><table>
$rows
</table></div>
$picture
$notes
</html>
""")


def labels(groups: list[Group]) -> list[str]:
    """Return a label for each group: its config and the settings that differ within it."""
    configs = [group[0].folder.parent.name for group in groups]
    several = len({*configs}) > 1
    within = {
        config: differing([g for g, own in zip(groups, configs, strict=True) if own == config])
        for config in configs
    }
    return [
        ", ".join([config] * several + words(group, within[config])) or config
        for group, config in zip(groups, configs, strict=True)
    ]


def words(group: Group, settings: list[str]) -> list[str]:
    """Return settings as text; class names and lists are shown without the setting's name."""
    texts = []
    for name, head in zip(settings, short(settings), strict=True):
        value = group[0].settings.get(name, "")
        alone = isinstance(value, str) and (value[:1].isupper() or value[:1] == "[")
        if value != "":
            texts.append(value if alone else f"{head} {value}")
    return texts


def cells(groups: list[Group], settings: list[str], metrics: list[str]) -> list[list[str]]:
    """Return the table as strings, with the column names in the first row."""
    percent = [f"{name} %" if name.endswith("/acc") else name for name in metrics]
    rows = [[*short(settings), "seeds", *percent, "seconds", "params"]]
    for group in groups:
        own = [str(group[0].settings.get(name, "")) for name in settings]
        scores = [number(name, values(group, name)) for name in metrics]
        seconds, parameters = mean(values(group, "seconds")), values(group, "parameters")[0]
        rows.append([*own, str(len(group)), *scores, f"{seconds:.1f}", f"{parameters:,.0f}"])
    return rows


def short(names: list[str]) -> list[str]:
    """Return the last part of each dotted name, or the last two where that is ambiguous."""
    last = [name.rsplit(".", 1)[-1] for name in names]
    return [
        ".".join(name.split(".")[-2:]) if last.count(end) > 1 else end
        for name, end in zip(names, last, strict=True)
    ]


def number(name: str, found: list[float]) -> str:
    """Return mean and standard deviation, in percent for an accuracy."""
    if not found:
        return "-"
    scale, form = (100, ".2f") if name.endswith("/acc") else (1, ".4f")
    if form == ".4f" and not 1e-3 <= abs(mean(found)) < 1e3:
        form = ".3g"
    # No space after ±, so that a narrow table wraps before it.
    spread = f" ±{scale * stdev(found):{form}}" if len(found) > 1 else ""
    return f"{scale * mean(found):{form}}{spread}"


def show(rows: list[list[str]], texts: int, names: list[str]) -> None:
    """Print the table with a column per setting, or with one for all where they do not fit."""
    console = Console()
    table = terminal_table(rows, texts)
    unlimited = console.options.update(max_width=10_000)
    if not texts or console.measure(table, options=unlimited).minimum > console.width:
        numbers = [[cell.replace(" ±", "\n±") for cell in row[texts:]] for row in rows]
        merged = [[name, *row] for name, row in zip(["run", *names], numbers, strict=True)]
        table = terminal_table(merged, texts=1)
        table.caption = "a column per setting: --csv FILE or --html FILE" if texts else None
    console.print(table)


def terminal_table(rows: list[list[str]], texts: int) -> Table:
    """Return a table with `texts` left-aligned text columns, followed by number columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for i, head in enumerate(rows[0]):
        longest = max(len(word) for row in rows for word in row[i].split())
        kind = {"justify": "left", "min_width": longest} if i < texts else {}
        table.add_column(Text(head), **{"justify": "right", "overflow": "fold", **kind})
    for row in rows[1:]:
        table.add_row(*map(Text, row))  # as Text, since Rich would parse [64] as markup
    return table


def unrounded(groups: list[Group], settings: list[str], metrics: list[str]) -> str:
    """Return the table as CSV, with standard deviations and the run folders of each row."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    scores = [head for name in metrics for head in (name, f"{name} sd")]
    write([*settings, "seeds", *scores, "seconds", "parameters", "runs"])
    for group in groups:
        own = [group[0].settings.get(name, "") for name in settings]
        found = [values(group, name) for name in metrics]
        pairs = [(mean(v) if v else "", stdev(v) if len(v) > 1 else "") for v in found]
        sizes = [mean(values(group, "seconds")), group[0].numbers["parameters"]]
        folders_of = " ".join(str(run.folder) for run in group)
        write([*own, len(group), *(score for pair in pairs for score in pair), *sizes, folders_of])
    return text.getvalue()


def page(
    rows: list[list[str]], texts: int, names: list[str], picture: bytes | None, notes: list[str]
) -> str:
    """Return the table and the picture as a self-contained HTML page."""
    lines = []
    tags = ["th", *["td"] * len(names)]
    for tag, name, row in zip(tags, ["run", *names], rows, strict=True):
        kinds = ["text", *["number"] * len(row[texts:]), *["text"] * texts]
        marked = zip(kinds, [name, *row[texts:], *row[:texts]], strict=True)
        line = "".join(f'<{tag} class="{k}">{html.escape(cell)}</{tag}>' for k, cell in marked)
        lines.append(f"<tr>{line}</tr>")
    data = base64.b64encode(picture or b"").decode()
    image = f'<p><img alt="curves" src="data:image/png;base64,{data}"></p>' if picture else ""
    paragraphs = "\n".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return PAGE.substitute(rows="\n".join(lines), picture=image, notes=paragraphs)
