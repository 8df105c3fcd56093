"""Evaluates and reports the losses of a learning rate search by lr_find."""

import math
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from src.errors import UserError
from src.files import write_whole
from src.plots.search import lr_search
from src.plots.style import png

BETA = 0.98  # smoothing factor of the running mean that Lightning records


def raw(recorded: np.ndarray) -> np.ndarray:
    """Return the loss of each step, from Lightning's running mean, up to the first not finite.

    The running mean lags by some fifty steps, and starts at half the loss, since after n steps
    Lightning divides it by 1 - BETA ** (n + 1).
    """
    mean = recorded * (1 - BETA ** np.arange(2, len(recorded) + 2))
    with np.errstate(invalid="ignore", over="ignore"):
        losses = (mean - BETA * np.concatenate([[0.0], mean[:-1]])) / (1 - BETA)
    return losses[: np.isfinite(losses).cumprod().sum()]


def smooth(losses: np.ndarray, width: int) -> np.ndarray:
    """Return the losses smoothed over `width` steps to either side with a Hann window."""
    if not len(losses):
        return losses
    window = np.hanning(2 * width + 3)[1:-1]
    sums, weights = (np.convolve(v, window) for v in (losses, np.ones_like(losses)))
    return (sums / weights)[width : width + len(losses)]


def steepest(rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray) -> int:
    """Return the step before the minimum where the smoothed loss falls fastest.

    After the minimum the loss jumps up and down, so that a fall is no sign of learning.

    Raises:
        UserError: If the loss falls by less than its noise, or still falls at the last rate.
    """
    end = int(smoothed.argmin()) + 1 if len(smoothed) else 0
    noise = 2 * np.std((losses - smoothed)[:end]) if end else 0.0
    if end < 2 or smoothed[0] - smoothed[end - 1] <= noise:
        raise UserError(
            "No suggestion: the loss does not fall while the learning rate rises.\n"
            "Give a lower --min_lr if it rises at once, a higher --max_lr if it stays constant,\n"
            "more --steps if it is noisy."
        )
    if end > 0.95 * len(smoothed) and smoothed[-1] - smoothed[end - 1] <= noise:
        raise UserError(
            f"No suggestion: the loss still falls at the last learning rate, {rates[-1]:.2g}.\n"
            "Give a higher --max_lr."
        )
    return int(np.gradient(smoothed[:end], np.log(rates[:end])).argmin())


def report(
    name: str, rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, best: int
) -> None:
    """Write the picture, and print its path and a table of the smoothed loss."""
    picture = Path("lightning_logs", "lr_find", f"{name}.png")
    write_whole(picture, png(lr_search(rates, losses, smoothed, rates[best])))
    tens = range(math.ceil(math.log10(rates[0])), math.floor(math.log10(rates[-1])) + 1)
    notes = {int(np.abs(np.log10(rates) - ten).argmin()): "" for ten in tens}
    notes |= {len(rates) - 1: "last", int(smoothed.argmin()): "lowest", best: "suggestion"}
    table = Table("learning rate", "smoothed loss", "", title=f"Learning rates for {name}")
    for step, note in sorted(notes.items()):
        style = "bold green" if step == best else None
        table.add_row(f"{rates[step]:.2g}", f"{smoothed[step]:.4g}", note, style=style)
    Console().print(table)
    print(f"Picture:              {picture}")
    print(f"Also worth trying:    up to {rates[int(smoothed.argmin())]:.2g}, mainly as max_lr")
