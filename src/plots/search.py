"""Learning rate search: the loss over a rising learning rate."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from src.plots.style import BLACK, BLUE, ORANGE, frame


def lr_search(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestion: float
) -> Figure:
    """Draw the losses of a learning rate search, and mark the suggested rate and the lowest loss.

    Args:
        rates: Learning rate of each step, rising.
        losses: Loss of each step.
        smoothed: The smoothed losses; the axis ends a little above the first loss.
        suggestion: The suggested learning rate.
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
