"""What a classifier gets right and wrong, from counts, probabilities and labels."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.fonts import choose_fonts, drawable, inches
from src.plots.style import BLUE, GREEN, ORANGE, frame

MANY = 30  # classes; with more, names and numbers would overlap
BINS = 15  # of confidence, as in Guo et al. (2017)


def confusion(predicted: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return how often each true class (row) was predicted as each class (column), int64."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)


def confusion_matrix(counts: Tensor, class_names: Sequence[str]) -> Figure:
    """Draw how often each true class (row) was predicted as each class (column).

    Args:
        counts: Number of examples, int64 `(classes, classes)`. The colour, and the number
            below the count, show its percentage of the row.
        class_names: Names of the classes, in order. With more than 30, numbers and names are left
            out.
    """
    class_names = [*map(drawable, class_names)]
    n = len(class_names)
    side = 1.5 + 0.55 * min(n, MANY)
    share = (counts / counts.sum(dim=1, keepdim=True).clamp(min=1)).numpy()
    longest = inches(class_names) if n <= MANY else 0.0
    margin = max(0.0, longest - 0.4)
    figure, axes = frame(side + 1 + margin, side + margin)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if n <= MANY:
        slant = 90 if longest > 1 else 45 if longest > 0.2 else 0
        axes.set_xticks(range(n), class_names, rotation=slant, parse_math=False)
        axes.set_yticks(range(n), class_names, parse_math=False)
        for (row, column), count in np.ndenumerate(counts.numpy()):
            if count:
                colour = "white" if share[row, column] > 0.5 else "black"
                text = f"{count}\n{100 * share[row, column]:.1f} %"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    accuracy = counts.diagonal().sum() / counts.sum().clamp(min=1)
    title = f"{100 * accuracy:.2f} % of {counts.sum():,} right"
    axes.set(xlabel="predicted", ylabel="true", title=title)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    choose_fonts(figure)
    for _ in range(4 if margin else 0):  # the layout of a square beside long names converges
        figure.draw_without_rendering()
    return figure


def confused_pairs(counts: Tensor, class_names: Sequence[str], most: int = 12) -> Figure:
    """Draw the pairs of classes that are confused most often.

    Args:
        counts: As in `confusion_matrix`.
        class_names: Names of the classes, in order.
        most: Maximum number of pairs.
    """
    off = (counts - counts.diagonal().diag()).flatten()
    order = off.argsort(descending=True, stable=True)[:most]
    order = order[off[order] > 0]
    rows, columns = order // len(counts), order % len(counts)
    names = [
        drawable(f"{class_names[t]} → {class_names[p]}")
        for t, p in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    share = 100 * off[order] / counts.sum(dim=1)[rows]
    figure, axes = frame(_width(names), 1 + 0.28 * max(len(names), 2))
    bars = axes.barh(range(len(names)), off[order].numpy(), color=BLUE)
    texts = [f"{n} ({s:.1f} %)" for n, s in zip(off[order].tolist(), share.tolist(), strict=True)]
    axes.bar_label(bars, texts, padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.invert_yaxis()
    axes.margins(x=0.3)
    axes.set(xlabel="mistakes (share of the true class)", title="true class → prediction")
    return figure


def class_scores(counts: Tensor, class_names: Sequence[str]) -> Figure:
    """Draw precision, recall and F1 of each class, at most of the 30 with the lowest F1.

    Args:
        counts: As in `confusion_matrix`.
        class_names: Names of the classes, in order.
    """
    precision, recall, f1 = scores(counts)
    shown = f1.argsort()[:MANY].sort().values
    names = [f"{drawable(class_names[i])}   {100 * f1[i]:.1f}" for i in shown.tolist()]
    figure, axes = frame(_width(names), 1.2 + 0.28 * len(shown))
    rows = range(len(shown))
    for name, values, colour, marker in [
        ("precision", precision, BLUE, ">"), ("recall", recall, ORANGE, "<"), ("F1", f1, GREEN, "o")
    ]:  # fmt: skip
        axes.plot(100 * values[shown].numpy(), rows, marker, color=colour, label=name, alpha=0.8)
    axes.set_yticks(rows, names, parse_math=False)
    axes.invert_yaxis()
    axes.grid(axis="y", alpha=0.3)
    axes.set(xlabel="percent", title="by class (number: F1)")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _width(names: Sequence[str]) -> float:
    """Return the width of a figure with names on its left, in inches."""
    return 6 + max(0.0, inches(names) - 2)


def scores(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return precision, recall and F1 of each class, 0 if it has no predictions or examples."""
    right, actual, predicted = counts.diagonal().float(), counts.sum(dim=1), counts.sum(dim=0)
    precision, recall = right / predicted.clamp(min=1), right / actual.clamp(min=1)
    return precision, recall, 2 * right / (predicted + actual).clamp(min=1)


def reliability(confidence: Tensor, right: Tensor) -> Figure:
    """Draw a reliability diagram: the accuracy of predictions by their confidence.

    The gap to the diagonal, averaged over examples, is the expected calibration error (Guo et al.,
    "On calibration of modern neural networks", ICML 2017).

    Args:
        confidence: Probability of the predicted class `(n,)`.
        right: Whether the prediction is right `(n,)`.
    """
    count, sure, share = (part.numpy() for part in bins(confidence, right))
    error = (count * np.abs(sure - share)).sum() / count.sum()
    figure, (axes, below) = frame(5, 5.5, nrows=2, sharex=True, height_ratios=[3, 1])
    left, width = np.arange(BINS) / BINS, 1 / BINS
    filled = count > 0
    axes.bar(left[filled], share[filled], width, align="edge", color=BLUE, edgecolor="white")
    axes.plot(sure[filled], share[filled], "o", color=ORANGE, label="at the mean confidence")
    axes.plot([0, 1], [0, 1], "--", color="black", linewidth=1, label="perfectly calibrated")
    axes.set(ylabel="share right", ylim=(0, 1.02), xlim=(0, 1))
    axes.set_title(f"expected calibration error {100 * error:.2f} %")
    axes.legend(loc="upper left", fontsize=8)
    below.bar(left, count, width, align="edge", color=BLUE, edgecolor="white", log=True)
    below.set(xlabel="confidence: probability of the predicted class", ylabel="examples")
    return figure


def bins(confidence: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the number of examples, mean confidence and accuracy of each confidence bin."""
    place = (confidence.double() * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
    count = torch.bincount(place, minlength=BINS).double()
    sums = [torch.bincount(place, weights=v.double(), minlength=BINS) for v in (confidence, right)]
    sure, share = (part / count.clamp(min=1) for part in sums)
    return count, sure, share
