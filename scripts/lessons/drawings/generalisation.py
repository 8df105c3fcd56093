"""Pictures of lesson 5: overfitting and its remedies, and the luck of choosing on a test set."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import BLACK, BLUE, ORANGE, frame


def overfitting(
    on_train: dict[str, Sequence[float]], on_val: dict[str, Sequence[tuple[float, ...]]]
) -> Figure:
    """Draw training and validation loss over the epochs, a panel for each remedy.

    Args:
        on_train: Training loss of each epoch, by remedy.
        on_val: Measures of each epoch on validation, by remedy; the loss is the first.
    """
    figure, panels = frame(10, 3.4, ncols=len(on_train), sharey=True)
    for panel, name in zip(panels, on_train, strict=True):
        losses = [loss for loss, *_ in on_val[name]]
        epochs = range(1, len(losses) + 1)
        panel.plot(epochs, on_train[name], color=BLUE, label="100 training digits")
        panel.plot(epochs, losses, color=ORANGE, label="validation digits")
        lowest = losses.index(min(losses)) + 1
        panel.axvline(lowest, color=BLACK, linestyle=":", label="lowest validation loss")
        panel.set(title=name, xlabel="epoch", ylim=(0, 1.5))
    panels[0].set_ylabel("loss")
    panels[0].legend(fontsize=8)
    return figure


def luck(by_test: Tensor, by_val: Tensor) -> Figure:
    """Draw how far reported accuracies are above the true ones, by the set that chose the epoch."""
    figure, axes = frame(6.5, 3.4)
    for gap, name, color in ((by_test, "test", ORANGE), (by_val, "validation", BLUE)):
        label = f"epoch chosen by {name}: {gap.mean():+.1f} on average"
        bins = range(-13, 14, 2)
        axes.hist(gap, bins, histtype="step", linewidth=2, color=color, label=label)
        axes.axvline(gap.mean(), color=color, linestyle="--")
    axes.set(xlabel="reported test accuracy minus true accuracy, in points", ylabel="draws")
    axes.set_title("Chosen on the test set, a result looks better than it is")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.25)  # room for the legend
    axes.legend(fontsize=8, loc="upper left", framealpha=1)
    return figure
