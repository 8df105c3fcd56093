"""What a cross-validation has found: numbers, and tables of its predictions."""

from statistics import mean, stdev
from typing import Any

from torch import Tensor

from scripts.folds.predictions import Predictions
from scripts.folds.training import name
from scripts.many.groups import Group
from src.data.images import ImageData
from src.inference.predictions import Row, header, row
from src.runs.results import read_results

Record = dict[str, Any]  # the content of folds.json


def summary(group: Group, data: ImageData, found: Predictions) -> Record:
    """Return the numbers of a cross-validation.

    Args:
        group: The group, whose runs are finished.
        data: The data of one of the folds.
        found: The predictions of all runs.
    """
    folds = [of_fold(group, fold) for fold in range(int(found.fold.max()) + 1)]
    columns = {m: [fold["metrics"][m] for fold in folds] for m in folds[0]["metrics"]}
    train, test = data.splits["train"], data.splits["test"]
    monitor = group.settings["checkpoint"]["monitor"]
    return {
        "name": group.name,
        "dataset": {k: v for k, v in data.describe().items() if k != "sizes"},  # of one fold
        "groups": data.groups,
        "checkpoint": f"the best epoch by {monitor}" if monitor else "the last epoch",
        "folds": folds,
        "mean": {metric: mean(values) for metric, values in columns.items()},
        "sd": {metric: stdev(values) for metric, values in columns.items()},
        "out_of_fold": {"acc": accuracy(found.held_out, train.y), "samples": len(train.y)},
        "ensemble": {
            "acc": accuracy(found.test, test.y[test.indices]), "samples": len(test.indices)
        },
    }  # fmt: skip


def of_fold(group: Group, fold: int) -> Record:
    """Return the results of one run: its metrics on the samples held out, and their number."""
    folder = group.run_folder(name(fold))
    results = read_results(folder) or {}
    metrics = {k: v for k, v in results["metrics"].items() if k.startswith("val/")}
    return {
        "fold": fold,
        "trained": results["dataset"]["sizes"]["train"],
        "held_out": results["dataset"]["sizes"]["val"],
        "metrics": dict(sorted(metrics.items())),
        "epochs": results["epochs"],
        "run": folder.relative_to(group.folder).as_posix(),
    }


def accuracy(probabilities: Tensor, y: Tensor) -> float:
    """Return the share of samples whose most probable class is the right one."""
    return float((probabilities.argmax(dim=1) == y).double().mean())


def out_of_fold(data: ImageData, found: Predictions) -> list[Row]:
    """Return a row for each training sample: where it is from, its fold, class and prediction."""
    files = data.training_files
    first, *others = header(data)
    rows = [[first, *["file"] * bool(files), "fold", *others]]
    pairs = zip(found.held_out.tolist(), data.splits["train"].y.tolist(), strict=True)
    for index, (output, target) in enumerate(pairs):
        _, *predicted = row(data, index, output, target)
        named = ["/".join(files[index])] if files else []
        rows.append([index, *named, int(found.fold[index]), *predicted])
    return rows


def ensemble(data: ImageData, found: Predictions) -> list[Row]:
    """Return a row for each test sample: its class, and the mean probabilities of all folds."""
    test = data.splits["test"]
    pairs = zip(found.test.tolist(), test.y[test.indices].tolist(), strict=True)
    return [header(data), *(row(data, i, output, y) for i, (output, y) in enumerate(pairs))]


def labelled(counts: Tensor, names: list[str]) -> list[Row]:
    """Return a confusion matrix with the names of its classes: rows are true, columns predicted."""
    rows = zip(names, counts.tolist(), strict=True)
    return [["true \\ predicted", *names], *([label, *own] for label, own in rows)]
