"""Reads what a run predicted for each test sample, for tests that pair two runs."""

import csv
from math import isclose, nan
from typing import NamedTuple

import numpy as np

from scripts.compare.runs import Run
from src.errors import UserError

FILE = "test_predictions.csv"


class Outcome(NamedTuple):
    """What a run predicted for its test set.

    Attributes:
        metric: `test/acc` or `test/mse`.
        targets: The target of each sample, as in the file.
        scores: Whether the class is right, or the squared error in regression `(n,)`.
    """

    metric: str
    targets: list[list[str]]
    scores: np.ndarray


def outcome(run: Run) -> Outcome:
    """Return what a run predicted for its test set.

    A run from before such files has it in `RUN/test/`, after `test --run RUN`.

    Raises:
        UserError: If it has no such file, a damaged one, or that of another test.
    """
    places = [path for path in (run.folder / FILE, run.folder / "test" / FILE) if path.exists()]
    if not places:
        raise UserError(f"a run has no {FILE}, which `test --run RUN` writes")
    try:
        with places[0].open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
            found = scored(head, rows)
    except (ValueError, IndexError, OSError) as error:
        raise UserError(f"{places[0]} is damaged: {error}") from error
    if not isclose(found.scores.mean(), run.numbers.get(found.metric, nan), rel_tol=1e-3):
        raise UserError(f"{places[0]} is not of the test in results.json")
    return found


def scored(head: list[str], rows: list[list[str]]) -> Outcome:
    """Return the outcome in the rows of a file."""
    outputs = len(head) // 2  # of index, targets and predictions
    if any(len(row) != len(head) for row in rows):
        raise ValueError("a row is cut short")
    targets = [row[1 : 1 + outputs] for row in rows]
    if head == ["index", "label", "prediction"]:
        return Outcome("test/acc", targets, np.array([row[1] == row[2] for row in rows]))
    numbers = np.array([row[1:] for row in rows], dtype=float)
    errors = (numbers[:, :outputs] - numbers[:, outputs:]) ** 2
    return Outcome("test/mse", targets, errors.mean(axis=1))
