"""The files of a cross-validation: tables, a confusion matrix, numbers and a page."""

import json
from typing import Any

from scripts.folds.mistakes import mistakes
from scripts.folds.outcome import Record, ensemble, labelled, out_of_fold, summary
from scripts.folds.predictions import Predictions
from scripts.folds.tables import facts, rows, verdict
from scripts.many.groups import Group
from scripts.many.page import page, warning_of
from src.data.images import ImageData
from src.files import write_whole
from src.inference.predictions import as_csv
from src.plots.classification import confusion, confusion_matrix
from src.plots.style import png

RECORD = "folds.json"  # written last: where it is, all is
CAPTIONS = {
    "confusion": "How often each true class (row) was predicted as each class (column), by the run"
    " trained without the sample: confusion.png, confusion.csv; each sample: out_of_fold.csv",
    "mistakes": "Mistakes that gave the true class the lowest probability, wrong labels among them:"
    " mistakes.png",
}


def write(group: Group, data: ImageData, found: Predictions, command: str) -> None:
    """Write what a cross-validation has found into the folder of its group.

    Args:
        group: The group, whose runs are finished.
        data: The data of one of the folds.
        found: The predictions of all runs.
        command: The command that repeats it.
    """
    names, y = data.class_names, data.splits["train"].y
    counts = confusion(found.held_out.argmax(dim=1), y, len(names))
    pictures = {"confusion": png(confusion_matrix(counts, names))}
    if figure := mistakes(data, found):
        pictures["mistakes"] = png(figure)
    record = {"command": command, **summary(group, data, found)}
    files: dict[str, str | bytes] = {
        "out_of_fold.csv": as_csv(out_of_fold(data, found)),
        "test_predictions.csv": as_csv(ensemble(data, found)),
        "confusion.csv": as_csv(labelled(counts, names)),
        **{f"{name}.png": picture for name, picture in pictures.items()},
        "report.html": report(record, pictures),
        RECORD: json.dumps(record, indent=2) + "\n",
    }
    for name, content in files.items():
        write_whole(group.folder / name, content)


def report(record: Record, pictures: dict[str, bytes]) -> str:
    """Return the outcome of a cross-validation as a page."""
    source = record["dataset"]["source"]
    title = f"{len(record['folds'])} folds of {record['name']} on {record['dataset']['name']}"
    parts: dict[str, Any] = {
        "As a whole": [("what", "result"), *facts(record)],
        "Each fold on the samples that it held out": linked(rows(record)),
        **{CAPTIONS[name]: picture for name, picture in pictures.items()},
    }
    return page(title, verdict(record), parts, record["command"], warning_of(source))


def linked(table: list[list[str]]) -> list[list[Any]]:
    """Return the rows with links to the runs, which the last column names."""
    return [[*row[:-1], (row[-1], f"{row[-1]}/") if "/" in row[-1] else row[-1]] for row in table]
