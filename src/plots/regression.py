"""How well a line or a curve goes through points."""

from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import BLUE, ORANGE, frame


def line_fit(x: Tensor, y: Tensor, line: Tensor) -> Figure:
    """Draw points and the fitted line through them.

    Args:
        x: Feature of each point `(n,)`.
        y: Target of each point `(n,)`.
        line: What the model predicts at each x `(n,)`.
    """
    figure, axes = frame(6, 4)
    order = x.argsort()
    axes.scatter(x.numpy(), y.numpy(), s=18, color=BLUE, label="training points")
    axes.plot(x[order].numpy(), line[order].numpy(), color=ORANGE, label="learned line")
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    return figure
