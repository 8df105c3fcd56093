"""What the losses of a search for the learning rate say; `lr_find` makes the search."""

import math
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from src.errors import UserError
from src.files import write_whole
from src.plots.search import lr_search
from src.plots.style import png

BETA = 0.98  # of the running mean that Lightning records


def raw(recorded: np.ndarray) -> np.ndarray:
    """Return the loss of each step up to the first that is not finite, of what Lightning records.

    That is a running mean, which lags behind by some fifty steps, and begins at half the loss, as
    after n steps it is divided by 1 - BETA ** (n + 1).
    """
    mean = recorded * (1 - BETA ** np.arange(2, len(recorded) + 2))
    with np.errstate(invalid="ignore", over="ignore"):
        losses = (mean - BETA * np.concatenate([[0.0], mean[:-1]])) / (1 - BETA)
    return losses[: np.isfinite(losses).cumprod().sum()]


def smooth(losses: np.ndarray, width: int) -> np.ndarray:
    """Return means over `width` steps to either side, the nearer the weightier: without lag."""
    if not len(losses):
        return losses
    window = np.hanning(2 * width + 3)[1:-1]
    sums, weights = (np.convolve(v, window) for v in (losses, np.ones_like(losses)))
    return (sums / weights)[width : width + len(losses)]


def steepest(rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray) -> int:
    """Return the step where the smoothed loss falls fastest, up to its lowest point.

    Beyond, the loss jumps up and down, which is no sign of learning.

    Raises:
        UserError: If it falls less than single losses jitter, or falls to the end.
    """
    end = int(smoothed.argmin()) + 1 if len(smoothed) else 0
    jitter = 2 * np.std((losses - smoothed)[:end]) if end else 0.0
    if end < 2 or smoothed[0] - smoothed[end - 1] <= jitter:
        raise UserError(
            "No suggestion: the loss does not fall while the learning rate rises.\n"
            "Give a lower --min_lr if it soars at once, a higher --max_lr if it stays level,\n"
            "more --steps if it jitters."
        )
    if end > 0.95 * len(smoothed) and smoothed[-1] - smoothed[end - 1] <= jitter:
        raise UserError(
            f"No suggestion: the loss still falls at the last learning rate, {rates[-1]:.2g}.\n"
            "Give a higher --max_lr."
        )
    return int(np.gradient(smoothed[:end], np.log(rates[:end])).argmin())


def report(
    name: str, rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, best: int
) -> None:
    """Write the picture, and print its place and the smoothed loss at powers of ten and so on."""
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
    print(f"Worth a try as well:  up to {rates[int(smoothed.argmin())]:.2g}, above all as max_lr")
