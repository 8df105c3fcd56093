"""The table printed at the end of a run."""

import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.runs.find import training_of


def print_summary(results: dict[str, Any], folder: str | None, report: Path | None) -> None:
    """Print the record of a run, as in `results.json`, and where its files are."""
    rows = facts(results)
    if results["best_checkpoint"]:
        rows.append(("checkpoint", results["best_checkpoint"]))
    if folder:
        rows.append(("run folder", folder))
        rows += [("report", str(report))] if report else []
        rows += [("profile", str(path)) for path in sorted(Path(folder).glob("*-profile*.txt"))]
        rows.append(("curves", _curves(training_of(Path(folder)))))
    console = Console()
    if not console.is_terminal:  # nobody resizes a file: leave lines whole
        console = Console(width=1000)
    table = Table(title=f"{results['model']} on {results['dataset']['name']}", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    width = console.width - max(len(name) for name, _ in rows) - 7  # of borders and padding
    for name, text in rows:
        style = "bold red" if "NOT MNIST" in text else None
        table.add_row(name, Text(wrapped(text, width)), style=style)  # no markup in a note
    console.print(table)


def _curves(folder: Path) -> str:
    """Return what shows the curves: TensorBoard, or without its logger any program for tables."""
    events = any(folder.rglob("events.out.*"))
    return f"tensorboard --logdir {folder.parents[1]}" if events else str(folder / "curves.csv")


def wrapped(text: str, width: int) -> str:
    """Return a text with lines of up to `width` characters, broken at spaces and after slashes."""
    lines = []
    for line in text.split("\n"):
        lines.append("")
        for part in re.findall(r"[^ /]+[ /]*|[ /]+", line):
            if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
                lines.append("")
            lines[-1] += part
    return "\n".join(lines)


def facts(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and value, as text, of what is worth knowing about a run."""
    data, metrics = results["dataset"], results["metrics"]
    stages = ("test", "val", "train")
    names = [name for stage in stages for name in sorted(metrics) if name.startswith(f"{stage}/")]
    labels = {"train/loss": "train/loss, last logged"}  # the others are means over an epoch
    if results.get("partial_epoch"):
        labels |= {f"train/{name}": f"train/{name}, part of an epoch" for name in ("acc", "mse")}
    scores = [
        (labels.get(name, name), _number(name, metrics[name]))
        for name in names
        if name != "train/lr"
    ]
    if "noise_floor" in data:
        scores.append(
            ("noise floor", f"{data['noise_floor']:.4g} (expected mse of a perfect predictor)")
        )
    training = []
    if results["epochs"]:
        fit, total = results["seconds"]["fit"], results["seconds"]["total"]
        training = [
            ("epochs", f"{results['epochs']} ({results['steps']} steps){_ended(results)}"),
            ("steps", results.get("steps_made") or "one by one, by Lightning"),
            ("seconds", f"{fit:.1f} fit, {total:.1f} total"),
            ("samples per second", f"{results['samples_per_second']:,.0f}"),
        ]
    return [
        *scores,
        *training,
        ("parameters", f"{results['parameters']:,}"),
        ("data", f"{data['source']}\n{_sizes(results)}"),
        ("device", f"{results['device']}, {results['precision']}"),
        *_remarks(results),
    ]


def _remarks(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the tags and the note of the user, and what is set for all runs of this machine."""
    told = {
        "tags": ", ".join(results.get("tags") or []),
        "note": results.get("note") or "",
        "local settings": ", ".join(
            f"{name} {value}" for name, value in results.get("local", {}).items()
        ),
    }
    return [(name, text) for name, text in told.items() if text]


def _ended(results: dict[str, Any]) -> str:
    return f", ended by {results['ended_by']}" if results.get("ended_by") else ""


def _sizes(results: dict[str, Any]) -> str:
    """Return the sizes of the splits; of one used in part, how many samples were."""
    used = {"trained": "train", "validated": "val", "tested": "test"}
    evaluated = {split: results.get(name) for name, split in used.items()}
    texts = []
    for name, size in results["dataset"]["sizes"].items():
        seen = evaluated.get(name) or size
        texts.append(f"{seen:,} {name}" if seen == size else f"{seen:,} of {size:,} {name}")
    return ", ".join(texts)


def _number(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name.endswith("/acc") else f"{value:.4g}"
