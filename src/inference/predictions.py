"""`predictions.csv` and `test_predictions.csv`: a row for each sample that a network predicted."""

import csv
import io
from typing import Any

from torch import Tensor

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


def tested(data: Any, answers: Tensor, targets: Tensor) -> list[Row]:
    """Return the rows of `test_predictions.csv`, its header first.

    Args:
        data: The data module.
        answers: The predicted class of each sample `(n,)`, or values `(n, outputs)` in regression.
        targets: Its class or values, of the same shape.
    """
    pairs = list(zip(targets.tolist(), answers.tolist(), strict=True))
    if targets.is_floating_point():
        head = [f"{kind}_{i}" for kind in ("target", "prediction") for i in range(targets.shape[1])]
        texts = [[f"{number:.9g}" for part in pair for number in part] for pair in pairs]
        return [["index", *head], *([i, *row] for i, row in enumerate(texts))]
    names = data.class_names or range(data.num_classes)
    named = ([i, names[target], names[answer]] for i, (target, answer) in enumerate(pairs))
    return [["index", "label", "prediction"], *named]


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
