"""Compares the numbers of two runs: metrics, curves, and the weights of their best checkpoints."""

from math import inf, isfinite, isnan, nan
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from scripts.repeat.curves import Curve, both_curves
from src.runs.checkpoint_io import read_checkpoint
from src.runs.find import best_checkpoint
from src.runs.results import read_results


class Difference(NamedTuple):
    """How far two runs differ in one part.

    Attributes:
        part: What was compared.
        number: How many values.
        largest: The largest difference, relative to the largest value of its kind; 0 if all are
            equal to the bit, infinite if one has values that the other has not.
        where: Where it is, or what is missing.
        first: Of curves: a sentence about the first point at which they differ.
    """

    part: str
    number: int
    largest: float
    where: str = ""
    first: str = ""


def compared(before: Path, after: Path) -> list[Difference]:
    """Return the differences between two finished runs.

    Raises:
        UserError: If a file is damaged.
    """
    return [
        of_values("metrics", *(_metrics(folder) for folder in (before, after))),
        of_curves(*both_curves(before, after)),
        *_of_checkpoints(before, after),
    ]


def relative(one: float, other: float, scale: float) -> float:
    """Return the difference of two values by a scale; 0 for equal ones, also if both are NaN.

    It is infinite if one is infinite or NaN and the other is not.
    """
    if one == other or (isnan(one) and isnan(other)):
        return 0.0
    return _by(abs(one - other), scale)


def _by(difference: float, scale: float) -> float:
    return difference / scale if scale and isfinite(difference) else inf


def of_values(part: str, one: dict[str, float], other: dict[str, float]) -> Difference:
    """Return the largest difference between values of the same names."""
    if missing := sorted(one.keys() ^ other.keys()):
        return Difference(part, len(one), inf, f"only one run has {missing[0]}")
    found = {
        name: relative(value, other[name], max(abs(value), abs(other[name])))
        for name, value in one.items()
    }
    where = max(found, key=lambda name: found[name], default="")
    largest = found.get(where, 0.0)
    return Difference(part, len(one), largest, where if largest else "")


def of_curves(one: dict[str, Curve], other: dict[str, Curve]) -> Difference:
    """Return the largest difference between two sets of curves, by the largest value of each."""
    number = sum(map(len, one.values()))
    apart, first = Difference("curves", number, 0.0), (nan, "", 0.0)
    for name in sorted(one.keys() | other.keys()):
        left, right = one.get(name, {}), other.get(name, {})
        if missing := sorted(left.keys() ^ right.keys()):
            where = f"only one run has {name} at step {missing[0]}"
            return Difference("curves", number, inf, where)
        scale = max((abs(value) for value in left.values() if isfinite(value)), default=0.0)
        for step, value in sorted(left.items()):
            by = relative(value, right[step], scale)
            if by and not step >= first[0]:
                first = step, name, by
            if by > apart.largest:
                apart = Difference("curves", number, by, f"{name} at step {step}")
    told = f"The first is {first[1]} at step {first[0]}, by {first[2]:.1e}."
    return apart._replace(first=told) if first[1] else apart


def of_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> Difference:
    """Return the largest difference between two networks, by the largest weight of each tensor."""
    number = sum(tensor.numel() for tensor in one.values())
    apart = Difference("weights", number, 0.0)
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other or one[name].shape != other[name].shape:
            return Difference("weights", number, inf, f"another shape of {name}")
        left, right = one[name].double(), other[name].double()
        other_values = (left != right) & ~(left.isnan() & right.isnan())
        if other_values.any():
            scale = float(left.abs().nan_to_num(0, posinf=0).max())
            by = _by(float((left - right)[other_values].abs().max()), scale)
            apart = max(apart, Difference("weights", number, by, name), key=lambda d: d.largest)
    return apart


def _metrics(folder: Path) -> dict[str, float]:
    return dict((read_results(folder) or {})["metrics"])


def _of_checkpoints(before: Path, after: Path) -> list[Difference]:
    """Return the difference of the best weights; nothing for a run that keeps no checkpoints."""
    if not any(before.glob("checkpoints/*.ckpt")) and not any(after.glob("checkpoints/*.ckpt")):
        return []
    paths = [best_checkpoint(folder) for folder in (before, after)]
    found = of_weights(*(read_checkpoint(path)["state_dict"] for path in paths))
    names = [path.name for path in paths]
    if names[0] != names[1]:
        found = found._replace(where=f"{names[0]} and {names[1]}")
    return [found]
