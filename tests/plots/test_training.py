"""The pictures of a training: the logged curves, their axes and labels."""

from math import log

import numpy as np
import torch
from matplotlib.axes import Axes

from src.plots.style import CYCLE
from src.plots.training import Series, curves, gradients, learning_rate, units


def series(*values: float) -> Series:
    return torch.arange(1, len(values) + 1) / 2, torch.tensor(values)


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


LOSSES = {"train": series(2.0, 1.0, 0.5, 0.25), "val": series(2.1, 1.3, 1.2)}
SCORES = {"train": series(0.2, 0.5, 0.7, 0.9), "val": series(0.2, 0.6, 0.65)}


def test_losses_and_scores_are_drawn_with_their_markers() -> None:
    best, start = 1.5, 2.345
    left, right = curves(LOSSES, SCORES, "acc", best, start, guess=log(10)).axes
    for axes, shown in ((left, LOSSES), (right, SCORES)):
        lines = {line.get_label(): line for line in axes.lines}
        for stage, (epochs, values) in shown.items():
            np.testing.assert_allclose(lines[stage].get_xdata(), epochs)
            np.testing.assert_allclose(lines[stage].get_ydata(), values)
        assert lines["kept: after 1.5 epochs"].get_xdata() == [1.5, 1.5]
        assert lines["train"].get_color() != lines["val"].get_color()
        assert axes.get_xlabel() == "epoch"
    labels = ["train", "val", "kept: after 1.5 epochs", "before the first step: 2.35"]
    assert legend(left) == [*labels, "guessing: ln(classes) = 2.3"]
    *_, point, guess = left.lines
    np.testing.assert_allclose(point.get_xydata(), [[0, 2.345]])
    np.testing.assert_allclose(guess.get_ydata(), [log(10)] * 2)
    assert len(right.lines) == 3
    assert (left.get_yscale(), right.get_yscale()) == ("log", "linear")
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "accuracy")


def test_an_error_has_a_logarithmic_axis_and_unknown_markers_are_omitted() -> None:
    left, right = curves({"train": LOSSES["train"]}, {"train": LOSSES["train"]}, "mse").axes
    assert (left.get_yscale(), right.get_yscale()) == ("log", "log")
    assert right.get_ylabel() == "mean squared error"
    assert len(left.lines) == len(right.lines) == 1
    assert legend(left) == ["train"]


def test_points_are_marked_if_they_are_few() -> None:
    def marker(n: int) -> str:
        many = {"train": series(*np.linspace(1, 2, n).tolist())}
        return curves(many, many, "acc").axes[0].lines[0].get_marker()

    assert (marker(39), marker(40)) == (".", "None")


def test_the_axis_of_the_learning_rate_starts_at_zero() -> None:
    epochs, values = series(0.1, 0.3, 0.2)
    axes = learning_rate(epochs, values).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), epochs)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), values)
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 0.3


def test_gradients_are_drawn_by_layer_in_different_styles() -> None:
    norms = {f"layer {i}": series(1.0 + i, 0.1 + i) for i in range(9)}
    figure = gradients(norms)
    axes = figure.axes[0]
    for line, (name, (epochs, values)) in zip(axes.lines, norms.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_allclose(line.get_xdata(), epochs)
        np.testing.assert_allclose(line.get_ydata(), values)
    looks = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
    assert looks == [*((colour, "-") for colour in CYCLE), (CYCLE[0], "--"), (CYCLE[1], "--")]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(norms)
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "norm of the gradient"


def test_units_are_shares_in_percent() -> None:
    shares = {"dead ReLU 1": series(0.0, 0.125, 0.5), "saturated 2": series(0.25, 0.0, 1.0)}
    figure = units(shares)
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0, 12.5, 50])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [25, 0, 100])
    np.testing.assert_allclose(axes.lines[1].get_xdata(), [0.5, 1, 1.5])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(shares)
    assert (axes.get_yscale(), axes.get_ylabel(), axes.get_ylim()[0]) == (
        "linear",
        "% of units, or of values",
        0,
    )
