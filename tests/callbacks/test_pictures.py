"""Pictures of a line and of a training show the data, the weights and the curves."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from src.callbacks.pictures import Seen, of_line, of_training
from src.data import Line
from src.models import LinearRegression
from src.runs.curves import Points


def line_seen(bias: bool) -> Seen:
    data = Line(noise=0.5)
    data.setup("fit")
    model = LinearRegression(input_shape=(1,), num_outputs=1, bias=bias)
    return Seen(model, data, "train", torch.zeros(1), torch.zeros(1))


@pytest.mark.parametrize("bias", [True, False])
def test_the_path_of_the_weights_and_the_least_squares_solution_are_drawn(bias: bool) -> None:
    seen = line_seen(bias)
    split = seen.data.splits["train"]
    x, y = (part[split.indices].numpy()[:, 0] for part in (split.x, split.y))
    names = ["line/weight", "line/bias"][: 1 + bias]
    curves: dict[str, Points] = {name: ([0, 1, 2], [0.0, 0.5, 0.75]) for name in names}
    drawings = of_line(seen, curves)
    axes = drawings["loss_surface"]().axes[0]
    path, best = (axes.lines[0], axes.lines[3]) if bias else axes.lines[1:]
    last = [p.item() for p in seen.model.parameters()]
    np.testing.assert_allclose(path.get_xdata(), [0, 0.5, 0.75, last[0]], rtol=1e-6)
    if bias:
        np.testing.assert_allclose(path.get_ydata(), [0, 0.5, 0.75, last[1]], rtol=1e-6)
        np.testing.assert_allclose(best.get_xydata()[0], np.polyfit(x, y, 1), rtol=1e-4)
    else:
        np.testing.assert_allclose(best.get_xdata(), [(x * y).sum() / (x * x).sum()], rtol=1e-4)
    line = drawings["line_fit"]().axes[0].lines[-1]
    expected = last[0] * np.sort(x) + (last[1] if bias else 0)
    np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-4, atol=1e-6)


def test_the_kept_epoch_is_the_best_one_of_the_monitored_metric() -> None:
    about: Any = 10, "cross_entropy"
    losses: Points = ([1, 2, 3], [0.9, 0.3, 0.5])
    curves: dict[str, Points] = {
        "start/loss": ([0], [2.4]), "train/loss": losses, "val/loss": losses,
        "val/acc": ([1, 2, 3], [0.5, 0.8, 0.9]),
    }  # fmt: skip
    for monitor, mode, best in [("val/loss", "min", 2), ("val/acc", "max", 3)]:
        saver = SimpleNamespace(monitor=monitor, mode=mode)
        axes = of_training(curves, *about, saver)["curves"]().axes[0]
        labels = [line.get_label() for line in axes.lines]
        assert f"kept: after {best} epochs" in labels
        assert "before the first step: 2.4" in labels
        assert "guessing: ln(classes) = 2.3" in labels
    assert set(of_training(curves, *about, None)) == {"curves"}
    axes = of_training(curves, *about, None)["curves"]().axes[0]
    assert not any("kept" in str(line.get_label()) for line in axes.lines)
