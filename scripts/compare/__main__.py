"""Compares runs: settings that differ, metrics, overlaid curves.

    ./scripts/run compare                                     # every run in lightning_logs
    ./scripts/run compare 'lightning_logs/mnist_*' --where model=ReLUMLP --sort val/acc
    ./scripts/run compare --metrics test/acc,train/loss --curve train/loss
    ./scripts/run compare --csv runs.csv --html runs.html

Runs that differ only in the seed share a row: mean ± standard deviation over the seeds. Seconds are
those of fit. Runs of `test` are excluded.
"""

import argparse
import sys
from pathlib import Path

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
from scripts.shared.options import ToolParser
from src.errors import UserError
from src.files import write_whole
from src.plots.comparison import Curve, overlaid_curves
from src.plots.style import png

METRICS = ("test/acc", "test/mse", "test/loss", "val/acc", "val/mse")
CURVES = ("val/acc", "val/loss", "train/loss")  # the first that exists is the default


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = ToolParser("compare", __doc__)
    add = parser.add_argument
    add(
        "folders",
        nargs="*",
        default=["lightning_logs"],
        help="folders or patterns, searched recursively for runs; default lightning_logs",
    )
    add(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only runs with this setting, e.g. lr=0.1, model.hidden=[64], seed=0 or "
        "config=mnist_mlp; can be repeated",
    )
    add(
        "--sort",
        metavar="NAME",
        help="sort by a metric, seconds, parameters or a setting: accuracies descending, "
        "all others ascending; default the first metric shown",
    )
    add(
        "--metrics",
        metavar="NAME,...",
        help="metrics to show; default test accuracy (or mse), test loss "
        "and validation accuracy (or mse)",
    )
    add("--curve", metavar="NAME", help="curve to plot; default val/acc, else val/loss")
    add(
        "--picture",
        type=Path,
        default=Path("lightning_logs/compare.png"),
        metavar="FILE",
        help="PNG file of the plotted curves; default %(default)s",
    )
    add("--csv", type=Path, metavar="FILE", help="write the table with unrounded numbers")
    add("--html", type=Path, metavar="FILE", help="write an HTML page with table and picture")
    return parser.parse_intermixed_args(words)


def overlay(groups: list[Group], labels: list[str], given: str | None) -> tuple[str, list[Curve]]:
    """Return the name of the plotted metric, and a curve for each group."""
    names = dict.fromkeys(name for group in groups for run in group for name in run.curves)
    first = next((name for name in CURVES if name in names), "")
    name = lookup("--curve", given, names) if given else first
    curves = []
    for group, label in zip(groups, labels, strict=True):
        found = [run.curves[name] for run in group if name in run.curves]
        if shared := sorted(set.intersection(*map(set, found))) if found else []:
            points = [[curve[epoch] for epoch in shared] for curve in found]
            curves.append(Curve(label, shared, points))
    return name, curves


def exclusion_notes(runs: list[Run], groups: list[Group], metric: str) -> list[str]:
    """Return notes on the runs that are missing from the table or the picture."""
    shown = [run for group in groups for run in group]
    notes = []
    if older := len(runs) - len(shown):
        notes.append(f"Excluded, as a newer run has the same settings and seed: {older}.")
    if not metric:
        notes.append("No picture: none of these runs has a curves.csv.")
    elif missing := sum(metric not in run.curves for run in shown):
        notes.append(f"Not in the picture, as {metric} is missing: {missing} of {len(shown)}.")
    return notes


def select(options: argparse.Namespace, runs: list[Run]) -> tuple[list[Group], list[str]]:
    """Return the sorted groups and the names of the metrics to show."""
    names = list(dict.fromkeys(name for run in runs for name in run.numbers))
    settings = dict.fromkeys(name for run in runs for name in run.settings)
    words = options.metrics.split(",") if options.metrics else []
    metrics = [lookup("--metrics", word, names) for word in words]
    if not metrics:
        mixed = {"test/acc", "test/mse"} <= {*names}  # more columns would not fit
        metrics = [name for name in METRICS[: 3 if mixed else None] if name in names]
    by = "seconds" if options.sort == "time" else options.sort or (metrics or names)[0]
    return ordered(grouped(runs), lookup("--sort", by, [*names, *settings])), metrics


def compare(options: argparse.Namespace) -> int:
    """Print the table, write the picture and the requested files, and return the exit code."""
    found, notes, undamaged = gather(folders(options.folders))
    if not found:
        raise UserError("\n".join([f"No finished run in {' '.join(options.folders)}.", *notes]))
    runs = chosen(found, options.where)
    groups, metrics = select(options, runs)
    settings, names = differing(groups), labels(groups)
    metric, curves = overlay(groups, names, options.curve)
    picture = png(overlaid_curves(curves, metric), bbox_inches="tight") if curves else None
    notes += exclusion_notes(runs, groups, metric)
    rows = cells(groups, settings, metrics)
    show(rows, len(settings), names)
    print("", *notes, sep="\n")
    table = unrounded(groups, settings, metrics) if options.csv else None
    web = page(rows, len(settings), names, picture, notes) if options.html else None
    for path, content in ((options.picture, picture), (options.csv, table), (options.html, web)):
        if content:
            write_whole(path, content)
            print(f"Written: {path}")
    return 0 if undamaged else 1


def main(words: list[str] | None = None) -> int:
    try:
        return compare(arguments(words))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main())
