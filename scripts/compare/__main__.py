"""Compares runs: settings, metrics and curves, and which differences are not chance.

    ./scripts/run compare                                     # every run in lightning_logs
    ./scripts/run compare 'lightning_logs/mnist_*' --where model=ReLUMLP --sort val/acc
    ./scripts/run compare --tag baseline --against optimizer=SGD
    ./scripts/run compare --metrics test/acc,train/loss --curve train/loss
    ./scripts/run compare --csv runs.csv --html runs.html

Runs that differ only in the seed share a row: mean ± standard deviation over the seeds. Seconds are
those of fit. Runs of `test` are excluded.

Each row is compared with the best one, chosen by validation, by the first metric shown: by Welch's
t-test if both have three seeds or more, and if both are single runs, by a paired test of what they
predicted for the same test samples: McNemar's, or the paired t-test in regression.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from scripts.compare import curves
from scripts.compare.options import parse
from scripts.compare.page import page
from scripts.compare.rows import (
    Group,
    chosen,
    differing,
    grouped,
    lookup,
    ordered,
    tagged,
)  # fmt: skip
from scripts.compare.runs import Run, UsageError, folders, gather
from scripts.compare.tables import cells, labels, show, unrounded
from src.errors import UserError
from src.files import write_whole

METRICS = ("test/acc", "test/mse", "test/loss", "val/acc", "val/mse")


class Judged(NamedTuple):
    """What the tests say: sentences, columns of the CSV, and a picture of the seeds."""

    sentences: list[str]
    columns: list[list[Any]]
    picture: bytes | None


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


def only_tested(runs: list[Run]) -> tuple[list[Run], int]:
    """Return the runs that were tested, and the number of the others; all if none was tested."""
    tested = [run for run in runs if any(name.startswith("test/") for name in run.numbers)]
    return (tested, len(runs) - len(tested)) if tested else (runs, 0)


def noted(groups: list[Group], names: list[str]) -> list[str]:
    """Return the notes of the user on the runs of each row."""
    pairs = ((name, run.note) for group, name in zip(groups, names, strict=True) for run in group)
    return [*dict.fromkeys(f"{name}: {note}" for name, note in pairs if note)]


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


def judged(groups: list[Group], names: list[str], metric: str, against: list[str]) -> Judged:
    """Compare the rows, and draw the scores of their seeds."""
    if len(groups) == len(groups[0]) == 1:
        return Judged([], [[], []], None)
    from scripts.compare import scores, sentences, verdicts  # scipy.stats takes half a second

    found = verdicts.verdicts(groups, names, metric, against)
    texts = sentences.sentences(found, groups, names)
    return Judged(texts, verdicts.columns(found, names), scores.drawn(groups, names, metric))


def compare(options: argparse.Namespace) -> int:
    """Print table and verdicts, write pictures and requested files, and return the exit code."""
    found, notes, undamaged = gather(folders(options.folders))
    if not found:
        raise UserError("\n".join([f"No finished run in {' '.join(options.folders)}.", *notes]))
    runs = chosen(tagged(found, options.tag), options.where)
    runs, untested = (runs, 0) if options.metrics else only_tested(runs)
    if untested:
        notes.append(f"Excluded, as not tested, like folds and trials of a sweep: {untested}.")
    groups, metrics = select(options, runs)
    settings, names = differing(groups), labels(groups)
    curve, lines = curves.overlay(groups, names, options.curve)
    told = judged(groups, names, [*metrics, "test/acc"][0], options.against)
    notes = [*noted(groups, names), *notes, *exclusion_notes(runs, groups, curve)]
    rows = cells(groups, settings, metrics)
    show(rows, names)
    print()
    for text in told.sentences:
        Console().print(Text(text))  # breaks lines between words
    print(*notes, sep="\n")
    pictures = {"curves": curves.drawn(lines, curve), "scores of the seeds": told.picture}
    beside = options.picture.with_stem(f"{options.picture.stem}-seeds")
    files = dict(zip((options.picture, beside), pictures.values(), strict=True))
    if options.csv:
        files[options.csv] = unrounded(groups, settings, metrics, told.columns)
    if options.html:
        drawn = {name: data for name, data in pictures.items() if data}
        files[options.html] = page(rows, names, told.sentences, drawn, notes)
    write(files)
    return 0 if undamaged else 1


def write(files: dict[Path, Any]) -> None:
    for path, content in files.items():
        if content:
            write_whole(path, content)
            print(f"Written: {path}")
        else:
            path.unlink(missing_ok=True)  # that of an earlier call would show other runs


def main(words: list[str] | None = None) -> int:
    try:
        return compare(parse(words, __doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main())
