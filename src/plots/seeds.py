"""Curves of equal runs that differ in the seed: each one faint, their mean and spread on top."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from src.plots.style import BLUE, ORANGE, frame


def seed_curves(
    metrics: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]],
) -> Figure:
    """Draw a panel for each metric: every run, their mean, and a band of one standard deviation.

    Mean and band are drawn at the epochs that all runs have.

    Args:
        metrics: By name, finished epochs and values of each run.
    """
    figure, panels = frame(4.8 * len(metrics), 3.6, ncols=len(metrics), squeeze=False)
    for axes, (name, runs) in zip(panels.flat, metrics.items(), strict=True):
        colour = BLUE if name.startswith("train/") else ORANGE
        for epochs, values in runs:
            axes.plot(epochs, values, color=colour, linewidth=0.8, alpha=0.35)
        shared, table = common(runs)
        mean, spread = table.mean(axis=0), table.std(axis=0, ddof=min(1, len(table) - 1))
        axes.plot(shared, mean, color=colour, linewidth=2)
        axes.fill_between(shared, mean - spread, mean + spread, color=colour, alpha=0.2)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if name.endswith("/acc"):
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        elif table.size and 0 < 10 * table.min() < table.max():
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
    title = f"{len(next(iter(metrics.values())))} seeds: each one, mean, ± one standard deviation"
    figure.suptitle(title, fontsize=10)
    return figure


def common(
    runs: Sequence[tuple[Sequence[float], Sequence[float]]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs `(n,)` that all runs have, and their values `(runs, n)`."""
    tables = [dict(zip(epochs, values, strict=True)) for epochs, values in runs]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    return np.array(shared), np.array([[table[epoch] for epoch in shared] for table in tables])
