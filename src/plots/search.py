"""How the loss answers to a learning rate that rises."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from src.plots.style import BLACK, BLUE, ORANGE, frame


def lr_search(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float
) -> Figure:
    """Draw the losses of a search for the learning rate, and mark the suggestion and the lowest.

    Args:
        rates: Learning rate of each step, rising.
        losses: Loss of each step.
        smoothed: The losses, smoothed; where they soar, the axis ends above where they began.
        suggestion: The rate to mark.
    """
    figure, axes = frame(6, 4)
    axes.plot(rates, losses, ".", color=BLUE, alpha=0.4, markersize=4, label="loss of a step")
    axes.plot(rates, smoothed, color=ORANGE, linewidth=2, label="smoothed")
    axes.axvline(suggestion, color=BLACK, linestyle="--", label=f"suggestion: {suggestion:.2g}")
    lowest = rates[int(np.argmin(smoothed))]
    axes.axvline(lowest, color=BLACK, linestyle=":", label=f"lowest: {lowest:.2g}")
    low, start = min(smoothed), max(losses[0], smoothed[0])
    margin = 0.15 * max(start - low, 1e-12)
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    axes.set_ylim(low - margin, start + 2 * margin)
    axes.legend(loc="lower left")
    return figure
