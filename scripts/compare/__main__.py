"""Compares runs: a table of the settings that differ and what came of them, and their curves.

    ./scripts/run compare                                     # every run in lightning_logs
    ./scripts/run compare 'lightning_logs/mnist_*' --where model=ReLUMLP --sort val/acc
    ./scripts/run compare --metrics test/acc,train/loss --curve train/loss
    ./scripts/run compare --csv runs.csv --html runs.html

Runs equal but for the seed are one row: mean ± standard deviation over the seeds. Seconds are those
of fit. Tests of checkpoints (python -m src.cli test) are left out.
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from scripts.compare.runs import (
    Group,
    Run,
    UsageError,
    chosen,
    differing,
    folders,
    gather,
    grouped,
    lookup,
    ordered,
)  # fmt: skip
from scripts.compare.tables import cells, labels, page, show, unrounded
from src.errors import UserError
from src.files import write_whole
from src.plots.comparison import Curve, overlaid_curves
from src.plots.style import png

METRICS = ("test/acc", "test/mse", "test/loss", "val/acc", "val/mse")
CURVES = ("val/acc", "val/loss", "train/loss")  # the first one that is there


class Parser(argparse.ArgumentParser):
    """A parser whose errors are a line."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see --help", file=sys.stderr)
        raise SystemExit(2)


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="compare"
    )
    add = parser.add_argument
    add(
        "folders",
        nargs="*",
        default=["lightning_logs"],
        help="folders of runs, searched to the bottom, or patterns; lightning_logs by default",
    )
    add(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only runs with this setting, such as lr=0.1, model.hidden=[64], seed=0 or "
        "config=mnist_mlp; may be given several times",
    )
    add(
        "--sort",
        metavar="NAME",
        help="a metric, seconds, parameters or a setting: greatest "
        "accuracy first, else smallest first; by default the first metric shown",
    )
    add(
        "--metrics",
        metavar="NAME,...",
        help="metrics to show; by default accuracy (or mse) and "
        "loss on test, accuracy (or mse) on validation",
    )
    add("--curve", metavar="NAME", help="what the picture shows; by default val/acc, else val/loss")
    add(
        "--picture",
        type=Path,
        default=Path("lightning_logs/compare.png"),
        metavar="FILE",
        help="where the picture goes, as PNG; %(default)s by default",
    )
    add("--csv", type=Path, metavar="FILE", help="write the table with unrounded numbers")
    add("--html", type=Path, metavar="FILE", help="write one page with table and picture")
    return parser.parse_intermixed_args(words)


def overlay(groups: list[Group], labels: list[str], asked: str | None) -> tuple[str, list[Curve]]:
    """Return the name of the metric that the picture shows, and a curve for each group."""
    names = dict.fromkeys(name for group in groups for run in group for name in run.curves)
    first = next((name for name in CURVES if name in names), "")
    name = lookup("--curve", asked, names) if asked else first
    curves = []
    for group, label in zip(groups, labels, strict=True):
        found = [run.curves[name] for run in group if name in run.curves]
        if shared := sorted(set.intersection(*map(set, found))) if found else []:
            points = [[curve[epoch] for epoch in shared] for curve in found]
            curves.append(Curve(label, shared, points))
    return name, curves


def left_out(runs: list[Run], groups: list[Group], metric: str) -> list[str]:
    """Return notes on the runs that the table or the picture lacks."""
    shown = [run for group in groups for run in group]
    notes = []
    if again := len(runs) - len(shown):
        notes.append(f"Left out, since a newer run has the same settings and seed: {again}.")
    if not metric:
        notes.append("No picture: none of these runs has a curves.csv.")
    elif lacking := sum(metric not in run.curves for run in shown):
        notes.append(f"Not in the picture, without a curve of {metric}: {lacking} of {len(shown)}.")
    return notes


def picked(asked: argparse.Namespace, runs: list[Run]) -> tuple[list[Group], list[str]]:
    """Return the groups in the order asked for, and the names of the metrics to show."""
    names = list(dict.fromkeys(name for run in runs for name in run.numbers))
    settings = dict.fromkeys(name for run in runs for name in run.settings)
    words = asked.metrics.split(",") if asked.metrics else []
    metrics = [lookup("--metrics", word, names) for word in words]
    if not metrics:
        mixed = {"test/acc", "test/mse"} <= {*names}  # then there is no room for more
        metrics = [name for name in METRICS[: 3 if mixed else None] if name in names]
    by = "seconds" if asked.sort == "time" else asked.sort or (metrics or names)[0]
    return ordered(grouped(runs), lookup("--sort", by, [*names, *settings])), metrics


def compare(asked: argparse.Namespace) -> int:
    """Print the table, write what was asked for, and return the exit code."""
    found, notes, sound = gather(folders(asked.folders))
    if not found:
        raise UserError("\n".join([f"No finished run in {' '.join(asked.folders)}.", *notes]))
    runs = chosen(found, asked.where)
    groups, metrics = picked(asked, runs)
    settings, names = differing(groups), labels(groups)
    metric, curves = overlay(groups, names, asked.curve)
    picture = png(overlaid_curves(curves, metric), bbox_inches="tight") if curves else None
    notes += left_out(runs, groups, metric)
    rows = cells(groups, settings, metrics)
    show(rows, len(settings), names)
    print("", *notes, sep="\n")
    table = unrounded(groups, settings, metrics) if asked.csv else None
    web = page(rows, len(settings), names, picture, notes) if asked.html else None
    for path, content in ((asked.picture, picture), (asked.csv, table), (asked.html, web)):
        if content:
            write_whole(path, content)
            print(f"Written: {path}")
    return 0 if sound else 1


def main(words: list[str] | None = None) -> int:
    try:
        return compare(arguments(words))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main())
