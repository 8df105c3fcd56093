"""Lesson 4: its output, and its numbers computed again without its formulas."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tests.scripts.lessons.running import assert_cells, assert_drawn, fails_when_broken, run_lesson

NAME = "4_backpropagation.py"


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run_lesson(NAME, tmp_path_factory.mktemp("lesson"))


def loss(lesson: Any, weights: list[np.ndarray]) -> float:
    """Return the mean loss, computed sample by sample and unit by unit."""
    W1, b1, W2, b2 = weights
    A = np.tanh((lesson.X[:, :, None] * W1).sum(axis=1) + b1)
    Z2 = (A[:, :, None] * W2).sum(axis=1) + b2
    return -np.mean([row[label] for row, label in zip(log_softmax(Z2, 1), lesson.y, strict=True)])


def test_it_prints_its_sections(lesson: Any) -> None:
    for part in (
        "1. From scores to a loss",
        "naive: [nan nan nan]",
        "2. Forward, and back",
        "dW1 (2, 16)",
        "db1 (16,)",
        "dW2 (16, 2)",
        "db2 (2,)",
        "3. Training, with numpy alone",
        "step 3,000: loss 0.0047, 100.0% right\n",
        "4. Two mistakes with the loss",
        "\nlabels as floats                             refused: ",
    ):
        assert part in lesson.text


def test_it_draws_its_picture(lesson: Any) -> None:
    assert_drawn(lesson, ["4_boundary.png"])


def test_softmax_equals_scipy_for_large_scores_too(lesson: Any) -> None:
    scores = np.random.default_rng(0).normal(size=(50, 7)) * 10.0 ** np.arange(-3, 4)
    np.testing.assert_allclose(lesson.log_softmax(scores), log_softmax(scores, axis=1), atol=1e-12)
    small = scores[:, :4]
    np.testing.assert_allclose(lesson.naive(small), softmax(small, axis=1), rtol=1e-12)


def test_every_slope_equals_a_finite_difference(lesson: Any) -> None:
    weights = lesson.initial_weights(hidden=5)
    weights[3] += [0.3, -0.2]  # not the initial zeros
    A, log_P = lesson.forward(lesson.X, *weights)
    slopes = lesson.backward(A, log_P, weights[2])
    for number, slope in enumerate(slopes):
        assert slope.shape == weights[number].shape
        for place in np.ndindex(slope.shape):
            nudged = []
            for nudge in (1e-5, -1e-5):
                moved = [weight.copy() for weight in weights]
                moved[number][place] += nudge
                nudged.append(loss(lesson, moved))
            assert slope[place] == pytest.approx((nudged[0] - nudged[1]) / 2e-5, abs=1e-9)


def test_it_learns_the_spirals(lesson: Any) -> None:
    assert len(lesson.losses) == 3001
    assert lesson.losses[0] == pytest.approx(loss(lesson, lesson.initial_weights()), rel=1e-12)
    assert lesson.losses[0] == pytest.approx(np.log(2), abs=0.05)
    assert lesson.losses[-1] < 0.01
    assert loss(lesson, lesson.weights) == pytest.approx(lesson.losses[-1], rel=1e-2)
    assert np.mean(np.diff(lesson.losses) < 0) > 0.99
    guessed, half, learned = (float(title.split()[-2][:-1]) for title in lesson.shapes)
    assert guessed < 60 < half < 100 == learned
    *_, p = lesson.shapes.values()
    at = np.abs(lesson.ends[:, None] - lesson.X.T.reshape(1, -1)).argmin(axis=0).reshape(2, -1)
    np.testing.assert_array_equal(p[at[1], at[0]] > 0.5, lesson.y == 1)  # the axes match the data


def test_the_spirals_cannot_be_split_by_a_line(lesson: Any) -> None:
    assert np.bincount(lesson.y).tolist() == [100, 100]
    angles = np.linspace(0, 2 * np.pi, 181)
    projected = lesson.X @ np.stack([np.cos(angles), np.sin(angles)])  # (200, directions)
    best = 0.0
    for values in projected.T:
        order = lesson.y[values.argsort()]
        right = np.cumsum(order == 0) + (order == 1).sum() - np.cumsum(order == 1)
        best = max(best, right.max() / 200)
    assert best < 0.8


def test_softmax_twice_has_a_lowest_loss_and_tiny_slopes(lesson: Any) -> None:
    for scores in np.random.default_rng(0).normal(scale=20, size=(200, 10)):
        assert -log_softmax(softmax(scores)).max() >= np.log(1 + 9 / np.e) - 1e-12
    for found, loss_of in (
        (lesson.once, lambda z: -log_softmax(z)[0]),
        (lesson.twice, lambda z: -log_softmax(softmax(z))[0]),
    ):
        for k, one in enumerate(np.eye(2)):
            up, down = (loss_of(np.array([-8, 0]) + nudge * one) for nudge in (1e-5, -1e-5))
            assert found[0, k].item() == pytest.approx((up - down) / 2e-5, rel=1e-3)
    assert lesson.once[0, 0] / lesson.twice[0, 0] > 1000


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("z = z - z.max(axis=-1, keepdims=True)", "z = z - 1", "the same, largest subtracted"),
        ("(np.exp(log_P) - Y) / len(Y)", "(np.exp(log_P) - Y)", "dW1"),
        ("dA * (1 - A**2)", "dA * (1 - A)", "dW1"),
        ("db1 = dZ1.sum(axis=0)", "db1 = dZ1.mean(axis=0)", "db1"),
        ("dW2 = A.T @ dZ2", "dW2 = 2 * A.T @ dZ2", "dW2"),
        ("labels.float()))", "labels))", "labels as floats: expected an error"),
        ("perfect.softmax(1)", "perfect", "smallest loss, softmax twice"),
        ("z.softmax(1)", "z", "slopes where wrong, softmax twice"),
        ("db2 = dZ2.sum(axis=0)", "db2 = -dZ2.sum(axis=0)", "db2"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the first case overflows
def test_it_fails_if_a_formula_is_wrong(right: str, wrong: str, named: str, tmp_path: Path) -> None:
    assert named in fails_when_broken(NAME, right, wrong, tmp_path)


def test_it_opens_as_a_notebook() -> None:
    assert_cells(NAME)
