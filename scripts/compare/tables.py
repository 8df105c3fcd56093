"""Formats the table of `compare` for the terminal and as CSV."""

import csv
import io
from statistics import mean, stdev
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.compare.rows import Group, differing, values


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
            texts.append(value if alone else f"{head} {as_text(value)}")
    return texts


def as_text(value: Any) -> str:
    """Return a value of a setting as text, a number with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def cells(groups: list[Group], settings: list[str], metrics: list[str]) -> list[list[str]]:
    """Return the table as strings, with the column names in the first row; `seeds` is the first
    column of numbers, after the settings and, if there are any, the tags."""
    percent = [f"{name} %" if name.endswith("/acc") else name for name in metrics]
    tags = ["tags"] * any(tags_of(group) for group in groups)
    rows = [[*short(settings), *tags, "seeds", *percent, "seconds", "params"]]
    for group in groups:
        own = [as_text(group[0].settings.get(name, "")) for name in settings]
        own += [tags_of(group)] * len(tags)
        scores = [number(name, values(group, name)) for name in metrics]
        seconds, parameters = mean(values(group, "seconds")), values(group, "parameters")[0]
        rows.append([*own, str(len(group)), *scores, f"{seconds:.1f}", f"{parameters:,.0f}"])
    return rows


def tags_of(group: Group) -> str:
    """Return the tags of all runs of a group."""
    return ", ".join(dict.fromkeys(tag for run in group for tag in run.tags))


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


def show(rows: list[list[str]], names: list[str]) -> None:
    """Print the table with a column per setting, or with one for all where they do not fit."""
    console, texts = Console(), rows[0].index("seeds")
    table = terminal_table(rows, texts)
    unlimited = console.options.update(max_width=10_000)
    if not texts or console.measure(table, options=unlimited).minimum > console.width:
        table = terminal_table(merged(rows, texts, names), texts=1)
        table.caption = "a column per setting: --csv FILE or --html FILE" if texts else None
    console.print(table)


def merged(rows: list[list[str]], texts: int, names: list[str]) -> list[list[str]]:
    """Return the table with the name of each row, and below it the tags, for all settings."""
    tagged = rows[0][texts - 1 : texts] == ["tags"]
    tags = [row[texts - 1] if tagged else "" for row in rows[1:]]
    heads = ["run", *(f"{name}\n{tag}".rstrip() for name, tag in zip(names, tags, strict=True))]
    numbers = [[cell.replace(" ±", "\n±") for cell in row[texts:]] for row in rows]
    return [[head, *row] for head, row in zip(heads, numbers, strict=True)]


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


def unrounded(
    groups: list[Group], settings: list[str], metrics: list[str], verdicts: list[list[Any]]
) -> str:
    """Return the table as CSV, with standard deviations, verdicts, and the runs of each row.

    Args:
        groups: The rows.
        settings: The settings to show.
        metrics: The metrics to show.
        verdicts: More columns: their names, then their values for each row.
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    scores = [head for name in metrics for head in (name, f"{name} sd")]
    heads = [*settings, "seeds", *scores, "seconds", "parameters"]
    write([*heads, *verdicts[0], "runs", "tags", "notes"])
    for group, verdict in zip(groups, verdicts[1:], strict=True):
        own = [group[0].settings.get(name, "") for name in settings]
        found = [values(group, name) for name in metrics]
        pairs = [(mean(v) if v else "", stdev(v) if len(v) > 1 else "") for v in found]
        sizes = [mean(values(group, "seconds")), group[0].numbers["parameters"]]
        texts = [" ".join(str(run.folder) for run in group), tags_of(group)]
        texts.append("; ".join(dict.fromkeys(run.note for run in group if run.note)))
        scored = (score for pair in pairs for score in pair)
        write([*own, len(group), *scored, *sizes, *verdict, *texts])
    return text.getvalue()
