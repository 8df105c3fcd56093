"""Pictures of lesson 6: sizes and accuracies, first weights, gradients, and mistakes."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.images import WORDS, middle, mosaic
from src.plots.images import show as draw
from src.plots.style import BLUE, CYCLE, ORANGE, frame

PLACES = [  # of the names beside the five points: offset, and the side that is aligned
    (0, 10, "center"), (0, -18, "center"), (10, -4, "left"), (0, 10, "center"), (-10, -4, "right"),
]  # fmt: skip


def rungs(names: Sequence[str], parameters: Sequence[int], right: Tensor, title: str) -> Figure:
    """Draw the accuracy of each model over its number of parameters."""
    figure, axes = frame(7, 4.2)
    for i, (name, (aside, above, side)) in enumerate(zip(names, PLACES, strict=True)):
        point = parameters[i], 100 * right[i].double().mean().item()
        axes.plot(*point, "o", markersize=9, color=CYCLE[i])
        axes.annotate(f"{i + 1} {name}", point, (aside, above), textcoords="offset points",
                      ha=side, color=CYCLE[i])  # fmt: skip
    axes.set(xscale="log", xlabel="parameters", ylabel="test accuracy, %")
    axes.set_title(title, fontsize=10)
    axes.margins(x=0.2, y=0.2)
    axes.grid(alpha=0.3)
    return figure


def first_weights(sheets: dict[str, Tensor]) -> Figure:
    """Draw weights as images, red if positive and blue if negative: a row for each title."""
    figure, panels = frame(9, 4.4, nrows=len(sheets), height_ratios=[1.2, 1, 1.7])
    for panel, (title, weights) in zip(panels, sheets.items(), strict=True):
        limit = 0.5 * weights.abs().max()  # larger weights get the same colour
        below = 0.2 if panel is panels[0] else 0.0  # room for the names of the digits
        sheet = mosaic(weights / limit, len(weights), below, empty=torch.nan)
        panel.imshow(sheet[..., 0], cmap="RdBu_r", vmin=-1, vmax=1)
        panel.set_title(title, fontsize=10, loc="left")
        panel.set_axis_off()
    shape = next(iter(sheets.values())).shape[2:]
    for digit in range(10):
        panels[0].text(*middle(digit, 10, *shape, 0.2), str(digit), **WORDS)
    return figure


def gradients(training: dict[str, list[Tensor]], untrained: dict[str, list[float]]) -> Figure:
    """Draw the norms of the gradients: by epoch while training, and by layer before it.

    Args:
        training: A curve `(2, n)` of epochs and norms for each layer, by model.
        untrained: The norm of each layer, by activation function.
    """
    figure, panels = frame(11, 3.6, ncols=3, sharey=True)
    for panel, (name, curves) in zip(panels, training.items(), strict=False):
        for j, curve in enumerate(curves):
            n = max(1, curve.shape[1] // 30)  # points averaged to smooth the line
            epochs, values = curve.unfold(1, n, n).mean(dim=2)
            panel.plot(epochs, values, color=CYCLE[j], label=f"layer {j + 1}")
        panel.set(title=f"{name}, while training", xlabel="epoch", yscale="log")
    for (activation, norms), color in zip(untrained.items(), (ORANGE, BLUE), strict=True):
        panels[2].plot(range(1, len(norms) + 1), norms, "o-", color=color, label=activation)
    panels[2].set(title="six layers, before training", xlabel="layer", yscale="log")
    panels[0].set_ylabel("norm of the gradient")
    for panel in panels:
        panel.legend(fontsize=8)
    return figure


def mistakes(rows: dict[str, Tensor], images: Tensor, labels: Tensor, predicted: Tensor) -> Figure:
    """Draw ten digits of each row, with label and predictions.

    Args:
        rows: Which digits belong to a row `(digits,)`, by the title of the row.
        images: All digits `(digits, 1, 28, 28)`.
        labels: Their labels `(digits,)`.
        predicted: Predictions of the models `(models, digits)`.
    """
    figure, panels = frame(8, 7.4, nrows=len(rows))
    figure.suptitle("Below each digit: its label and the predictions of the models", fontsize=10)
    for panel, (title, which) in zip(panels, rows.items(), strict=True):
        chosen = which.nonzero()[:10, 0]
        sheet = torch.ones(10, 1, 28, 28)  # white if there are fewer
        sheet[: len(chosen)] = images[chosen] / 255
        draw(panel, mosaic(sheet, 10, below=0.5))
        for place, digit in enumerate(chosen.tolist()):
            found = " ".join(str(answer) for answer in predicted[:, digit].tolist())
            panel.text(*middle(place, 10, 28, 28, 0.5), f"{labels[digit]}\n{found}", **WORDS)
        panel.set_title(f"{title}: {which.sum()}", fontsize=10, loc="left")
        panel.set_axis_off()
    return figure
