"""Pictures of lesson 3: a parabola, a bowl with five ways down, and a saddle."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.regression import squared_error
from src.plots.style import BLACK, BLUE, GREEN, ORANGE, PINK, YELLOW, frame

WAYS = (BLACK, YELLOW, GREEN, ORANGE, PINK)
Paths = dict[str, Tensor]


def one_step(xs: Tensor, ys: Tensor) -> Figure:
    """Draw the loss over w, its tangent at w = 1 and the step from there."""
    figure, axes = frame(6, 4)
    ws = np.linspace(-0.2, 4.2, 200)
    axes.plot(ws, squared_error(ws, 0, xs.numpy(), ys.numpy()), color=BLUE, label="loss")
    tangent = 14 / 3 - 28 / 3 * (ws[:90] - 1)
    axes.plot(ws[:90], tangent, "--", color=ORANGE, label="tangent at w = 1")
    axes.annotate("", (2, 0), (1, 14 / 3), arrowprops={"arrowstyle": "->", "lw": 1.5})
    axes.text(2, 5.5, "one step,\nη = 3/28", ha="center")
    axes.set(xlabel="w", ylabel="mean squared error", title="The slope shows the way down")
    axes.set(ylim=(-1, 21))
    axes.legend(loc="upper center")
    return figure


def learning_rates(curves: dict[str, Sequence[float]], bound: float) -> Figure:
    """Draw the loss above the minimum over the steps, for each learning rate."""
    figure, axes = frame(7, 4)
    for (name, excess), color in zip(curves.items(), (YELLOW, GREEN, BLUE, ORANGE), strict=True):
        axes.semilogy(np.maximum(excess, 1e-12), color=color, label=name)
    axes.set(xlabel="step", ylabel="loss above the minimum", ylim=(1e-9, 1e5))
    axes.set_title(f"Descent converges only below η = 2/L = {bound:.3f}")
    axes.legend(loc="lower left")
    return figure


def five_ways(
    x: Tensor, y: Tensor, paths: Paths, best: Tensor
) -> tuple[Figure, Callable[[int], None], int]:
    """Return an animation of the paths on the loss surface: its figure, draw and frames."""
    figure, axes = frame(6.4, 4.6)
    lines = _bowl(axes, x, y, paths, best)
    times = [*np.arange(0, 4, 0.25), *range(4, 41, 2)]  # in passes; the first ones are slower

    def draw(number: int) -> None:
        for line, path in zip(lines, paths.values(), strict=True):
            line.set_data(*path[: int(times[number] * (len(path) - 1) / 40) + 1].T)
        axes.set_title(f"After {times[number]:g} passes over the data")

    return figure, draw, len(times)


def _bowl(axes: Any, x: Tensor, y: Tensor, paths: Paths, best: Tensor) -> list[Any]:
    grid = np.linspace(-0.9, 3.3, 100), np.linspace(-2.2, 1.4, 100)
    height = squared_error(grid[0][None, :], grid[1][:, None], x.numpy(), y.numpy())
    axes.contour(*grid, height, np.geomspace(0.13, 40, 16), colors="silver", linewidths=0.7)
    axes.plot(*best, "*", color=BLUE, markersize=15, label="least squares", zorder=5)
    axes.plot(*next(iter(paths.values()))[0], "o", color=BLACK, label="start")
    axes.set(xlabel="slope w", ylabel="intercept b", title="Five ways down the same bowl")
    ways = zip(paths.items(), WAYS, strict=True)
    lines = [axes.plot(*path.T, color=color, label=name)[0] for (name, path), color in ways]
    axes.legend(loc="lower left", fontsize=9)
    return lines


def order_of_batches(shuffled: Sequence[float], in_order: Sequence[float], best: float) -> Figure:
    """Draw the loss after each pass, with shuffled and with sorted mini-batches."""
    figure, axes = frame(6, 3.6)
    axes.plot(shuffled, color=GREEN, label="shuffled")
    axes.plot(in_order, color=ORANGE, label="sorted by x")
    axes.axhline(best, color=BLUE, linestyle="--", label="least squares")
    axes.set(xlabel="passes over the data", ylabel="loss after a pass", ylim=(0.1, 0.4))
    axes.set_title("Sorted mini-batches do not converge")
    axes.legend()
    return figure


def saddle(f: Callable[[Any], Any], noiseless: Tensor, noisy: Tensor, places: Tensor) -> Figure:
    """Draw the way without noise and ten with noise, from the ridge of a surface."""
    figure, axes = frame(7.5, 4.2)
    grid = np.linspace(-2.9, 1.9, 120), np.linspace(-1.2, 1.8, 100)
    levels = np.linspace(-2.6, 3, 24)
    axes.contour(*grid, f(np.meshgrid(*grid)), levels, cmap="Blues_r", linewidths=0.7)
    lines = axes.plot(noisy[:, 0, :10], noisy[:, 1, :10], color=ORANGE, linewidth=1)
    lines[0].set_label("ten with a little noise")
    axes.plot(*noiseless[:, :, 0].T, color=BLACK, linewidth=2.5, label="without noise")
    names = {"saddle point": "X", "shallow minimum": "*", "deep minimum": "*"}
    for place, (name, marker) in zip(places, names.items(), strict=True):
        axes.plot(*place, marker, color=BLUE, markersize=13, zorder=5)
        axes.text(place[0], -0.3, name, ha="center", backgroundcolor="white")
    axes.set(xlabel="x", ylabel="y", title="On the ridge, noise decides")
    axes.legend(loc="upper left")
    return figure
