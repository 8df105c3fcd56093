"""The curves that `compare` plots: a metric over the epochs, for each row."""

from scripts.compare.rows import Group, lookup
from src.plots.comparison import Curve, overlaid_curves
from src.plots.style import png

CURVES = ("val/acc", "val/loss", "train/loss")  # the first that exists is the default


def overlay(groups: list[Group], labels: list[str], given: str | None) -> tuple[str, list[Curve]]:
    """Return the name of the plotted metric, and a curve for each group."""
    names = dict.fromkeys(name for group in groups for run in group for name in run.curves)
    first = next((name for name in CURVES if name in names), "")
    name = lookup("--curve", given, names) if given else first
    curves = []
    for group, label in zip(groups, labels, strict=True):
        found = [run.curves[name] for run in group if name in run.curves]
        if shared := sorted(set.intersection(*map(set, found))) if found else []:
            points = [[curve[epoch] for epoch in shared] for curve in found]
            curves.append(Curve(label, shared, points))
    return name, curves


def drawn(curves: list[Curve], metric: str) -> bytes | None:
    """Return the curves as the bytes of a PNG file, if there are any."""
    return png(overlaid_curves(curves, metric), bbox_inches="tight") if curves else None
