"""`predictions.csv`: a row for each sample that a network predicted."""

import csv
import io
from typing import Any

Row = list[Any]


def header(data: Any) -> list[str]:
    """Return the names of the columns, which depend on the data module."""
    if data.file_names is not None:
        remarks = ["remark"] if data.trusted_from else []
        return ["file", "prediction", *remarks, *data.class_names]
    if data.class_names is None:
        outputs = range(data.num_outputs)
        return ["index", *(f"target_{i}" for i in outputs), *(f"prediction_{i}" for i in outputs)]
    return ["index", "label", "prediction", *data.class_names]


def row(data: Any, index: int, output: list[float], target: Any) -> Row:
    """Return the row of one sample.

    Args:
        data: The data module.
        index: Position of the sample in the data set.
        output: Probabilities of the classes, or values in regression.
        target: Its class, or its target values in regression.
    """
    names = data.class_names
    if names is None:
        return [index, *target, *output]
    best = max(range(len(names)), key=output.__getitem__)
    probabilities = [f"{p:.6g}" for p in output]
    if data.file_names is None:
        return [index, names[target], names[best], *probabilities]
    remarks = [remark(data, max(output))] if data.trusted_from else []
    return [data.file_names[index], names[best], *remarks, *probabilities]


def remark(data: Any, likely: float) -> str:
    """Return the remark on a prediction for an own image, given its probability."""
    return "not to be trusted" if is_doubtful(data, likely) else ""


def is_doubtful(data: Any, likely: float) -> bool:
    """Return whether a prediction is not to be trusted, given its probability."""
    return bool(likely < data.trusted_from)


def as_csv(rows: list[Row]) -> str:
    """Return rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
