"""Reads the curves of two runs, without what cannot be the same in both."""

import csv
from pathlib import Path

from src.errors import UserError
from src.runs.results import read_results

MEASURED = ("DeviceStatsMonitor", "train|", "validate|", "test|")  # of the machine

Curve = dict[int, float]  # the value at each step


def both_curves(before: Path, after: Path) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Return the curves of two runs; without the validation at an earlier end of the first one.

    A finished run that was trained longer has such a point, its repetition has not: at most one for
    each time that it was resumed, and never the last one.
    """
    one, other = (_curves(folder / "curves.csv") for folder in (before, after))
    resumed = len((read_results(before) or {}).get("resumed_by") or [])
    for name in one.keys() & other.keys():
        if name.startswith("val/"):
            ends = [step for step in one[name].keys() - other[name] if step < max(other[name])]
            for step in ends if len(ends) <= resumed else []:
                del one[name][step]
    return one, other


def _curves(path: Path) -> dict[str, Curve]:
    """Return the curves of a run, without what is measured on the machine; none without a file."""
    found: dict[str, Curve] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for row in csv.DictReader(lines):
            if not row["name"].startswith(MEASURED):
                found.setdefault(row["name"], {})[int(row["step"])] = float(row["value"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    return found
