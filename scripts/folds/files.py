"""The files of a cross-validation: tables, a confusion matrix, numbers and a page."""

import json
from base64 import b64encode
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scripts.folds.mistakes import mistakes
from scripts.folds.outcome import Record, ensemble, labelled, out_of_fold, summary
from scripts.folds.predictions import Predictions
from scripts.folds.tables import facts, rows, verdict
from scripts.many.groups import Group
from src.data.images import ImageData
from src.files import write_whole
from src.inference.predictions import as_csv
from src.plots.classification import confusion, confusion_matrix
from src.plots.style import png

RECORD = "folds.json"  # written last: where it is, all is


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
        "report.html": page(record, pictures),
        RECORD: json.dumps(record, indent=2) + "\n",
    }
    for name, content in files.items():
        write_whole(group.folder / name, content)


def page(record: Record, pictures: dict[str, bytes]) -> str:
    """Return the outcome of a cross-validation as a self-contained page."""
    place = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=place, autoescape=True, undefined=StrictUndefined)
    head, *lines = rows(record)
    return template.get_template("page.html").render(
        title=f"{len(record['folds'])} folds of {record['name']} on {record['dataset']['name']}",
        record=record,
        head=head,
        rows=lines,
        facts=facts(record),
        verdict=verdict(record),
        pictures={name: b64encode(picture).decode() for name, picture in pictures.items()},
    )
