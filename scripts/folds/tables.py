"""The outcome of a cross-validation as text: its table, and what it says as a whole."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.folds.outcome import Record
from scripts.many.numbers import shown


def rows(record: Record) -> list[list[str]]:
    """Return the table as text: names of the columns, a row per fold, mean ± deviation."""
    metrics = [*record["mean"]]
    head = ["fold", "trained on", "held out", *metrics, "epochs", "run"]
    lines = [
        [str(fold["fold"]), f"{fold['trained']:,}", f"{fold['held_out']:,}",
         *(shown(metric, fold["metrics"][metric]) for metric in metrics),
         str(fold["epochs"]), fold["run"]]
        for fold in record["folds"]
    ]  # fmt: skip
    spread = [shown(m, record["mean"][m], record["sd"][m]) for m in metrics]
    return [head, *lines, ["mean ± sd", "", "", *spread, "", ""]]


def verdict(record: Record) -> str:
    """Return the result in a few words."""
    found = record["out_of_fold"]
    right = f"{shown('acc', found['acc'])} of {found['samples']:,} training samples right"
    return f"{right}, out of fold"


def facts(record: Record) -> list[tuple[str, str]]:
    """Return name and text of what a cross-validation says as a whole."""
    tested, folds = record["ensemble"], len(record["folds"])
    right = f"{shown('acc', tested['acc'])} of {tested['samples']:,} test samples right"
    divided = f", groups by {record['groups']} undivided" if record["groups"] else ""
    return [
        ("out of fold", f"{verdict(record)}: each by the run trained without it"),
        ("ensemble", f"{right}, by the mean probabilities of {folds} runs"),
        ("weights", f"those of {record['checkpoint']} of each run"),
        ("data", f"{record['dataset']['source']}{divided}"),
    ]


def show(record: Record, folder: Path) -> None:
    """Print the outcome of a cross-validation, and where its files are."""
    head, *lines = rows(record)
    table = Table(title=f"{len(record['folds'])} folds of {record['name']}")
    for name in head:
        table.add_column(name, justify="left" if name in ("fold", "run") else "right")
    for line in lines:
        table.add_row(*line, end_section=line is lines[-2])
    console = Console()
    console = console if console.is_terminal else Console(width=1000)  # leave lines whole
    console.print(table)
    for name, text in [*facts(record), ("report", str(folder / "report.html"))]:
        console.print(Text.assemble((f"{name:<12}", "bold"), text), soft_wrap=True)
