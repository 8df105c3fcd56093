"""The table that a run ends with."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_summary(results: dict[str, Any], folder: str | None, report: Path | None) -> None:
    """Print the record of a run, as `results.json` holds it, and where its files are."""
    table = Table(title=f"{results['model']} on {results['dataset']['name']}", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in facts(results):
        table.add_row(name, text, style="bold red" if "NOT MNIST" in text else None)
    if results["best_checkpoint"]:
        table.add_row("checkpoint", results["best_checkpoint"])
    if folder:
        table.add_row("run folder", folder)
        if report:
            table.add_row("report", str(report))
        table.add_row("curves", f"tensorboard --logdir {Path(folder).parents[1]}")
    Console().print(table)


def facts(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and value, in words, of what is worth knowing of a run."""
    data, metrics = results["dataset"], results["metrics"]
    stages = ("test", "val", "train")
    names = [name for stage in stages for name in sorted(metrics) if name.startswith(f"{stage}/")]
    known = {"train/loss": "train/loss, a batch"}  # the last one; the others are means
    scores = [
        (known.get(name, name), _number(name, metrics[name]))
        for name in names
        if name != "train/lr"
    ]
    if "noise_floor" in data:
        scores.append(("noise floor", f"{data['noise_floor']:.4g} (mse of a perfect predictor)"))
    training = []
    if results["epochs"]:
        fit, total = results["seconds"]["fit"], results["seconds"]["total"]
        training = [
            ("epochs", f"{results['epochs']} ({results['steps']} steps)"),
            ("seconds", f"{fit:.1f} fit, {total:.1f} in all"),
            ("samples a second", f"{results['samples_per_second']:,.0f}"),
        ]
    sizes = ", ".join(f"{size:,} {name}" for name, size in data["sizes"].items())
    return [
        *scores,
        *training,
        ("parameters", f"{results['parameters']:,}"),
        ("data", f"{data['source']}\n{sizes}"),
        ("device", f"{results['device']}, {results['precision']}"),
    ]


def _number(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name.endswith("/acc") else f"{value:.4g}"
