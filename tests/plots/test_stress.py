"""Pictures of a stress test show the numbers that they are given."""

import numpy as np
import torch
from matplotlib.figure import Figure

from src.plots.stress import Panel, accuracies, confidences, examples, reliabilities

BINS = [(10, 0.35, 0.3, 0.1, 0.6), (90, 0.97, 0.95, 0.9, 0.99)]
SURE = {"test set": torch.linspace(0.5, 1, 9), "letters": torch.tensor([0.9, 0.3, 0.6, 0.6])}


def panels(networks: int) -> dict[str, Panel]:
    accuracy = {f"mnist_network_{i}": [0.9 - 0.1 * k * i for k in range(6)]
                for i in range(networks)}  # fmt: skip
    sure = {name: [0.95 - 0.05 * k for k in range(6)] for name in accuracy}
    amounts = ["as is", *(f"{k / 2} px" for k in range(1, 6))]
    return {
        name: Panel(amounts, accuracy, sure) for name in ("blur", "shift", "thin pen", "attack")
    }


def sheet() -> Figure:
    rows = {"blur": (torch.rand(6, 1, 28, 28), ["as is", *(f"{k / 2} px" for k in range(5))]),
            "pixel noise": (torch.rand(6, 1, 28, 28), [])}  # fmt: skip
    return examples(rows)


def test_a_line_of_each_network_by_strength() -> None:
    figure = accuracies(panels(3), 0.1)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in shown] == ["blur", "shift", "thin pen", "attack"]
    for axes in shown:
        lines = [line.get_ydata() for line in axes.lines]
        np.testing.assert_allclose(lines[2], [0.9 - 0.2 * k for k in range(6)])
        assert len(lines) == 4  # and the one of guessing
    assert len(figure.legends[0].get_texts()) == 3


def test_the_confidence_is_drawn_for_one_network_only() -> None:
    [axes, *_] = accuracies(panels(1), 0.1).axes
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [0.95 - 0.05 * k for k in range(6)])


def test_accuracy_by_confidence_before_and_after() -> None:
    [axes] = reliabilities({"mnist_lenet": (BINS, BINS[1:])}).axes
    before, after = axes.lines[1:]
    np.testing.assert_allclose(before.get_xydata(), [(0.35, 0.3), (0.97, 0.95)])
    np.testing.assert_allclose(after.get_xydata(), [(0.97, 0.95)])
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert {0.1, 0.6, 0.9, 0.99} == {*heights.tolist()}


def test_the_share_of_images_that_are_as_sure() -> None:
    [axes] = confidences({"mnist_lenet": SURE}).axes
    np.testing.assert_allclose(axes.lines[1].get_xdata(), [0.3, 0.6, 0.6, 0.9])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [1, 0.75, 0.5, 0.25])


def test_examples_are_drawn_in_rows() -> None:
    figure = sheet()
    names = [axes.get_yticklabels()[0].get_text() for axes in figure.axes]
    assert names == ["blur", "pixel\nnoise"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()][:2] == ["as is", "0.0 px"]
