"""The pictures of a regression show the numbers of numpy and scikit-learn."""

import numpy as np
import torch
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from sklearn.metrics import r2_score
from torch import Tensor

from src.plots.regression import line_fit, loss_surface, predicted_vs_true, residuals
from src.plots.style import BLUE, GREEN, ORANGE


def points(n: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(n, generator=generator)
    return x, 2 * x - 1 + torch.randn(n, generator=generator)


def test_lines_are_drawn_from_left_to_right_and_the_last_stands_out() -> None:
    x, y = points()
    lines = torch.stack([slope * x + 0.5 for slope in (0.1, 1.0, 1.7)])
    axes = line_fit(x, y, lines).axes[0]
    assert len(axes.lines) == 3
    for line, slope in zip(axes.lines, (0.1, 1.0, 1.7), strict=True):
        np.testing.assert_allclose(line.get_xdata(), np.sort(x))
        np.testing.assert_allclose(line.get_ydata(), slope * np.sort(x) + 0.5, rtol=1e-5)
    first, second, last = axes.lines
    assert first.get_alpha() < second.get_alpha() < 1
    assert last.get_alpha() is None
    assert last.get_linewidth() > second.get_linewidth()
    np.testing.assert_allclose(axes.collections[0].get_offsets(), np.stack([x, y], axis=1))
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["training points", "learned line (fainter: earlier)"]


def test_the_label_of_a_single_line_names_no_earlier_ones() -> None:
    x, y = points()
    axes = line_fit(x, y, (2 * x)[None]).axes[0]
    assert len(axes.lines) == 1
    assert axes.get_legend().get_texts()[1].get_text() == "learned line"


def test_the_surface_is_the_squared_error_of_slope_and_intercept() -> None:
    x, y = points()
    slope, intercept = np.polyfit(x, y, 1)
    path = torch.tensor([[-1.0, 2.0], [0.5, 1.0], [1.8, -0.5]])
    axes = loss_surface(x, y, path, torch.tensor([slope, intercept])).axes[0]
    filled, lines = (part for part in axes.collections if isinstance(part, ContourSet))
    checked = 0
    for level, line in zip(lines.levels, lines.get_paths(), strict=True):
        at = line.vertices[:, :, None]  # slope and intercept
        error = ((at[:, 0] * x.numpy() + at[:, 1] - y.numpy()) ** 2).mean(axis=1)
        np.testing.assert_allclose(error, level, rtol=0.02)
        checked += len(error)
    assert checked > 500
    minimum = ((slope * x + intercept - y) ** 2).mean().item()
    np.testing.assert_allclose(filled.levels[0], minimum, rtol=0.02)
    np.testing.assert_allclose(filled.levels, lines.levels)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("slope", "intercept")
    drawn, start, end, best = axes.lines
    np.testing.assert_allclose(drawn.get_xydata(), path)
    np.testing.assert_allclose(start.get_xydata(), path[:1])
    np.testing.assert_allclose(end.get_xydata(), path[-1:])
    assert (start.get_marker(), end.get_marker()) == ("o", "s")
    np.testing.assert_allclose(best.get_xydata(), [[slope, intercept]], rtol=1e-6)
    assert (drawn.get_color(), best.get_color(), best.get_marker()) == (ORANGE, GREEN, "*")
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    np.testing.assert_allclose((left, right), (-1 - 0.25 * (slope + 1), slope + 0.25 * (slope + 1)))
    spread = 2 - intercept
    np.testing.assert_allclose((low, high), (intercept - 0.25 * spread, 2 + 0.25 * spread))


def test_without_an_intercept_the_error_is_a_curve() -> None:
    x, y = points()
    path = torch.tensor([[-1.0], [1.0], [1.9]])
    slope = ((x * y).sum() / (x * x).sum()).item()
    axes = loss_surface(x, y, path, torch.tensor([slope])).axes[0]
    error, drawn, best = axes.lines
    for line in axes.lines:
        for at, value in line.get_xydata():
            np.testing.assert_allclose(value, ((at * x - y) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(drawn.get_xdata(), path[:, 0])
    np.testing.assert_allclose(best.get_xdata(), [slope])
    assert error.get_ydata().min() >= best.get_ydata()[0] * (1 - 1e-6)
    assert error.get_xdata()[0] < -1
    assert error.get_xdata()[-1] > slope
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("slope", "mean squared error")


def outputs(width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn((60, width), generator=generator) + 4
    return y + 0.3 * torch.randn((60, width), generator=generator) - 0.1, y


def test_r2_equals_scikit_learn() -> None:
    for width in (1, 3):
        predicted, y = outputs(width)
        axes = predicted_vs_true(predicted, y).axes[0]
        expected = r2_score(y, predicted, multioutput="variance_weighted")
        assert axes.get_title() == f"R² = {expected:.4f}"
        at = axes.collections[0].get_offsets()
        np.testing.assert_allclose(at, np.stack([y.flatten(), predicted.flatten()], axis=1))
        ends = axes.lines[0].get_xydata()
        np.testing.assert_array_equal(ends[:, 0], ends[:, 1])
        assert ends[0, 0] == at.min()
        assert ends[1, 0] == at.max()
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("true", "predicted")


def test_residuals_are_target_minus_prediction() -> None:
    for width in (1, 3):
        predicted, y = outputs(width)
        axes, side = residuals(predicted, y).axes
        error = (y - predicted).flatten().numpy()
        mean, deviation = error.mean(), error.std()
        title = f"mean {mean:.3g}, standard deviation {deviation:.3g}"
        assert axes.get_title() == title
        at = axes.collections[0].get_offsets()
        np.testing.assert_allclose(at, np.stack([predicted.flatten(), error], axis=1))
        count, edges = np.histogram(error, 30)
        np.testing.assert_allclose([bar.get_width() for bar in side.patches], count)
        np.testing.assert_allclose([bar.get_y() for bar in side.patches], edges[:-1], rtol=1e-4)
        assert axes.lines[0].get_ydata() == [0, 0]
        assert to_hex(side.patches[0].get_facecolor()) == BLUE
