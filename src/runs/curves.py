"""`curves.csv`: every logged value in a file that any program can read."""

import csv
from io import StringIO

HEADER = "step,epoch,name,value\n"
Points = tuple[list[float], list[float]]  # finished epochs, and values


def read_curves(text: str) -> dict[str, Points]:
    """Return epochs and values of each curve in the text of a `curves.csv`, by name."""
    curves: dict[str, Points] = {}
    for row in csv.DictReader(StringIO(text)):
        epochs, values = curves.setdefault(row["name"], ([], []))
        epochs.append(float(row["epoch"]))
        values.append(float(row["value"]))
    return curves
