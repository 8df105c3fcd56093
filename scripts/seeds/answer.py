"""The answer of many seeds: table, picture, page, and `seeds.json` for programs."""

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.many.groups import Group, default_words, open_group
from scripts.many.numbers import shown
from scripts.many.page import Link, page
from scripts.many.warm import cores
from scripts.seeds.summary import Summary, of_metrics, told
from scripts.seeds.training import check, is_done, name_of, train
from src.command.checks import uses_gpu
from src.command.failures import short_errors
from src.files import write_whole
from src.plots.seeds import seed_curves
from src.plots.style import png
from src.runs.curves import read_curves
from src.runs.results import read_results

CURVES = ("val/loss", "val/acc", "val/mse")  # drawn if all runs have them
WITHOUT = ("train/loss",)  # of single batches: drawn if nothing was validated


def train_and_answer(words: Sequence[str], options: argparse.Namespace, command: str) -> None:
    """Train the seeds that are missing, and write what all say together.

    Args:
        words: The words of `fit`.
        options: The options of the tool.
        command: The command that repeats it.

    Raises:
        SystemExit: After a message, if words are wrong or a seed has failed.
    """
    seeds = range(options.first, options.first + options.n)
    with short_errors(), ExitStack() as stack:
        group = open_group("seeds", default_words(words), {}, stack)
        together = options.together
        if together is None:
            together = uses_gpu(group.settings["trainer"]["accelerator"])
        most = group.settings["threads"] or cores()
        train(group, seeds, options.jobs or (1 if together else most), together)
        if done := [seed for seed in seeds if is_done(group, seed)]:
            answer(group, done, command)
        check(group, seeds)


def answer(group: Group, seeds: Sequence[int], command: str) -> None:
    """Print the result of the seeds, and write curves.png, report.html and seeds.json.

    Args:
        group: The group of their runs.
        seeds: The seeds that have been trained.
        command: The command that repeats it.
    """
    runs = {seed: read_results(group.run_folder(name_of(seed))) or {} for seed in seeds}
    metrics = of_metrics([*runs.values()])
    picture = png(seed_curves(curves(group, seeds)))
    write_whole(group.folder / "curves.png", picture)
    write_whole(group.folder / "seeds.json", json.dumps(record(runs, metrics), indent=2) + "\n")
    caption = "Each seed faint; their mean, and a band of one standard deviation."
    parts = {
        caption: picture, "Metrics": metric_rows(metrics), "Runs": run_rows(group, runs),
    }  # fmt: skip
    title, report = f"{group.name}, {len(seeds)} seeds", group.folder / "report.html"
    source = runs[seeds[0]]["dataset"]["source"]
    warning = source if "NOT MNIST" in source else ""
    write_whole(report, page(title, told_first(metrics), parts, command, warning))
    show(title, metric_rows(metrics))
    print(f"runs     {group.folder / group.name}\nreport   {report}")
    if warning:
        print(warning)


def told_first(metrics: dict[str, Summary]) -> str:
    """Return the test accuracy, or the test error, in a line."""
    name = next((n for n in ("test/acc", "test/mse") if n in metrics), next(iter(metrics)))
    shown, spread, interval = told(name, metrics[name])
    return f"{shown} {spread}; 95 % interval of the mean: {interval}"


def metric_rows(metrics: dict[str, Summary]) -> list[list[str]]:
    rows = [told(name, one) for name, one in metrics.items()]
    return [["metric", "mean ± standard deviation", "95 % interval of the mean"], *rows]


def run_rows(group: Group, runs: dict[int, dict[str, Any]]) -> list[list[str | Link]]:
    names = [*of_metrics([*runs.values()])]
    rows: list[list[str | Link]] = [["run", *names, "epochs", "seconds"]]
    for seed, results in runs.items():
        values = [shown(name, results["metrics"][name]) for name in names]
        seconds = f"{results['seconds']['fit']:.1f}"
        link = (name_of(seed), f"{group.name}/{name_of(seed)}/")
        rows.append([link, *values, str(results["epochs"]), seconds])
    return rows


def record(runs: dict[int, dict[str, Any]], metrics: dict[str, Summary]) -> dict[str, Any]:
    summaries = {
        name: {key: value if isfinite(value) else None for key, value in one._asdict().items()}
        for name, one in metrics.items()
    }
    return {"seeds": [*runs], "metrics": summaries,
            "runs": {seed: results["metrics"] for seed, results in runs.items()}}  # fmt: skip


def curves(group: Group, seeds: Sequence[int]) -> dict[str, Any]:
    """Return epochs and values of each metric to draw, for each run."""
    files = [group.run_folder(name_of(seed)) / "curves.csv" for seed in seeds]
    logged = [read_curves(file.read_text(encoding="utf-8")) for file in files]
    names = [name for name in CURVES if all(name in one for one in logged)] or WITHOUT
    return {name: [one[name] for one in logged] for name in names}


def show(title: str, rows: list[list[str]]) -> None:
    table = Table(title=title)
    for head in rows[0]:
        table.add_column(head, justify="left" if head == "metric" else "right")
    for row in rows[1:]:
        table.add_row(*row)
    Console().print(table)
