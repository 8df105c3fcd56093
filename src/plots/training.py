"""Plots of a training run: losses, scores, learning rate, gradients and units."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from src.plots.style import BLACK, BLUE, CYCLE, ORANGE, frame

Series = tuple[Tensor, Tensor]  # completed epochs and values, both (n,)
COLOURS = {"train": BLUE, "val": ORANGE}


def curves(
    losses: Mapping[str, Series],
    scores: Mapping[str, Series],
    score_name: str,
    best: float | None = None,
    start: float | None = None,
    guess: float | None = None,
) -> Figure:
    """Draw loss and score of training and validation over the epochs.

    Args:
        losses: Losses by stage, `train` and `val`.
        scores: Scores by stage.
        score_name: `acc` or `mse`.
        best: The epoch of the best checkpoint, marked.
        start: The loss before the first training step, marked.
        guess: The loss of uniform guessing, ln(classes), close to that of an untrained
            classifier.
    """
    figure, (left, right) = frame(9, 3.8, ncols=2)
    for axes, series in ((left, losses), (right, scores)):
        for stage, (epochs, values) in series.items():
            line = {"color": COLOURS[stage], "marker": marker(epochs), "label": stage}
            axes.plot(epochs.numpy(), values.numpy(), **line)
        if best is not None:
            axes.axvline(best, color=BLACK, linestyle=":", label=f"kept: after {best:g} epochs")
        axes.set(xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    if start is not None:
        left.plot(0, start, "o", color=BLUE, label=f"before the first step: {start:.3g}")
    if guess is not None:
        label = f"guessing: ln(classes) = {guess:.3g}"
        left.axhline(guess, color=BLACK, linewidth=1, linestyle="--", label=label)
    left.set(ylabel="loss", yscale=log_if_possible(losses))
    right.set(ylabel={"acc": "accuracy", "mse": "mean squared error"}.get(score_name, score_name))
    if score_name == "mse":
        right.set_yscale(log_if_possible(scores))
    left.legend(fontsize=8, loc="upper right")
    return figure


def learning_rate(epochs: Tensor, values: Tensor) -> Figure:
    """Draw the learning rate over the epochs, `(n,)` each."""
    figure, axes = frame(6, 3)
    axes.plot(epochs.numpy(), values.numpy(), color=BLUE, marker=marker(epochs))
    axes.set(xlabel="epoch", ylabel="learning rate", ylim=(0, None))
    axes.grid(alpha=0.3)
    return figure


def gradients(norms: Mapping[str, Series]) -> Figure:
    """Draw the Euclidean norm of the gradient of each layer's weights over the epochs."""
    return _by_layer(norms, "norm of the gradient", log_if_possible(norms))


def units(shares: Mapping[str, Series]) -> Figure:
    """Draw the share of dead units and of saturated values of each layer over the epochs."""
    figure = _by_layer(
        {k: (e, 100 * v) for k, (e, v) in shares.items()}, "% of units, or of values", "linear"
    )
    figure.axes[0].set_ylim(bottom=0)
    return figure


def _by_layer(series: Mapping[str, Series], label: str, scale: str) -> Figure:
    figure, axes = frame(7, 3.5)
    for i, (name, (epochs, values)) in enumerate(series.items()):
        style = "-" if i < len(CYCLE) else "--"
        look = {"color": CYCLE[i % len(CYCLE)], "marker": marker(epochs), "linewidth": 1.2}
        axes.plot(epochs.numpy(), values.numpy(), style, label=name, **look)
    axes.set(xlabel="epoch", ylabel=label, yscale=scale)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def log_if_possible(series: Mapping[str, Series]) -> str:
    """Return the scale of an axis: `log` if any value is positive, else `linear`."""
    return "log" if any((values > 0).any() for _, values in series.values()) else "linear"


def marker(epochs: Tensor) -> str | None:
    """Return the marker of points, or None if there are too many."""
    return "." if len(epochs) < 40 else None
