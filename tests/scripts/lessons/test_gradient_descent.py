"""Lesson 3: its output, and its numbers computed again with numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.scripts.lessons.running import assert_cells, assert_drawn, fails_when_broken, run_lesson

NAME = "3_gradient_descent.py"


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run_lesson(NAME, tmp_path_factory.mktemp("lesson"))


@pytest.fixture(scope="module")
def line(lesson: Any) -> tuple[np.ndarray, np.ndarray]:
    """The points as a least squares problem: rows (x, 1), and y."""
    x = lesson.x.numpy()
    return np.stack([x, np.ones_like(x)], axis=1), lesson.y.numpy()


def loss(rows: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    return ((rows @ weights - y) ** 2).mean()


def slope(rows: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return 2 / len(y) * rows.T @ (rows @ weights - y)


def test_it_prints_its_sections(lesson: Any) -> None:
    for part in (
        "1. The slope, by hand and by PyTorch",
        "gradient at w = 1                            -9.33333   expected -9.33333",
        "2. How large a step may be",
        "1.01 · 2/L: 200 steps multiply it by",
        'gradient of "sum" / of "mean"                [64, 64]',
        "3. Fewer samples per step, and better steps",
        "mini-batches, sorted",
        "4. Saddle points and minima",
        "left the shallow minimum for the deep one",
    ):
        assert part in lesson.text


def test_it_draws_its_pictures(lesson: Any) -> None:
    names = ["3_learning_rate.png", "3_loss.png", "3_order.png", "3_paths.gif", "3_saddle.png"]
    assert_drawn(lesson, names)


def test_the_paths_are_animated(lesson: Any) -> None:
    path = lesson.pictures / "3_paths.gif"
    assert path.stat().st_size < 1e6
    with Image.open(path) as moving:
        assert moving.n_frames == 16 + 19
        frames = []
        for number in (0, 5, moving.n_frames - 1):
            moving.seek(number)
            frames.append(np.asarray(moving.convert("RGB")).astype(int))
            assert moving.info["duration"] == (2000 if number == moving.n_frames - 1 else 150)
        assert moving.info["loop"] == 0
    first, fifth, last = ((np.abs(frame - frames[0]) > 50).sum() for frame in frames)
    assert first == 0
    assert last > fifth > 500
    assert tuple(frames[0][0, 0]) == (255, 255, 255)


def test_descent_converges_below_the_bound_and_diverges_above(lesson: Any, line: Any) -> None:
    rows, y = line
    hessian = 2 / 64 * rows.T @ rows
    np.testing.assert_allclose(lesson.bowl, hessian, rtol=1e-12)
    assert lesson.bound == pytest.approx(2 / np.linalg.eigvalsh(hessian)[-1], rel=1e-12)
    best = np.linalg.lstsq(rows, y, rcond=None)[0]
    np.testing.assert_allclose(lesson.best, best, rtol=1e-9)
    excess = {}
    for share in (0.99, 1.01):
        weights = lesson.start.numpy()
        for _ in range(2000):
            weights = weights - share * lesson.bound * slope(rows, y, weights)
        excess[share] = loss(rows, y, weights) - loss(rows, y, best)
    assert excess[0.99] < 1e-12
    assert excess[1.01] > 1e12


def test_centred_inputs_have_a_diagonal_hessian(line: Any) -> None:
    """The answer to the first exercise: its eigenvalues are also closer to each other."""
    rows, _ = line
    centred = rows - [rows[:, 0].mean(), 0]
    before, after = (np.linalg.eigvalsh(2 / 64 * each.T @ each) for each in (rows, centred))
    np.testing.assert_allclose(2 / 64 * centred.T @ centred, np.diag(after), atol=1e-12)
    assert after[-1] == pytest.approx(2)
    assert before[-1] / before[0] > 4 * after[-1] / after[0]


def test_momentum_and_adam_equal_their_formulas(lesson: Any, line: Any) -> None:
    weights = other = lesson.start.numpy()
    velocity = mean = square = np.zeros(2)
    momentum, adam = [weights], [other]
    for step in range(1, 41):
        velocity = 0.7 * velocity + slope(*line, weights)
        weights = weights - 0.1 * velocity
        gradient = slope(*line, other)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        unbiased = mean / (1 - 0.9**step), square / (1 - 0.999**step)
        other = other - 0.4 * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
        momentum.append(weights)
        adam.append(other)
    np.testing.assert_allclose(lesson.paths["all 64, momentum"], momentum, rtol=1e-9)
    np.testing.assert_allclose(lesson.paths["all 64, Adam"], adam, rtol=1e-9)


def test_every_path_has_its_steps_and_ends_near_the_minimum(lesson: Any, line: Any) -> None:
    minimum = loss(*line, lesson.best.numpy())
    at_first = loss(*line, lesson.start.numpy())
    steps = {name: len(path) - 1 for name, path in lesson.paths.items()}
    assert list(steps.values()) == [40, 2560, 320, 40, 40]
    for path in lesson.paths.values():
        excess = loss(*line, path[-1].numpy()) - minimum
        assert 0 <= excess < 0.02 * (at_first - minimum)


def test_sorted_batches_do_not_reach_the_best_line(lesson: Any, line: Any) -> None:
    rows, y = line
    assert (np.diff(rows[:, 0]) >= 0).all()
    weights, path = lesson.start.numpy(), [lesson.start.numpy()]
    for _ in range(40):
        for first in range(0, 64, 8):
            batch = slice(first, first + 8)
            weights = weights - 0.1 * slope(rows[batch], y[batch], weights)
            path.append(weights)
    np.testing.assert_allclose(lesson.in_order, path, rtol=1e-9)
    minimum = loss(*line, lesson.best.numpy())
    last = lesson.paths["mini-batches of 8"][-80:]
    shuffled = [loss(*line, w.numpy()) - minimum for w in last]
    assert loss(*line, weights) - minimum > 5 * np.mean(shuffled)


def test_the_saddle_point_is_a_saddle_point(lesson: Any) -> None:
    generator = np.random.default_rng(0)
    for x, y in generator.uniform(-2, 2, (5, 2)):
        nudge = 1e-5
        across = (lesson.f([x + nudge, y]) - lesson.f([x - nudge, y])) / (2 * nudge)
        along = (lesson.f([x, y + nudge]) - lesson.f([x, y - nudge])) / (2 * nudge)
        step = lesson.noisy_descent([x, y], noise=0, walkers=1)[:2, :, 0].numpy()
        np.testing.assert_allclose((step[0] - step[1]) / 0.05, [across, along], atol=1e-8)
    around = 0.01 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    assert [lesson.f(place) > 0 for place in around] == [False, False, True, True]


def test_noise_leaves_the_ridge_and_the_shallow_minimum(lesson: Any) -> None:
    assert (lesson.noiseless[:, 0] == 0).all()
    ends = lesson.noisy[-1, 0].numpy()
    assert (np.minimum(np.abs(ends - 1), np.abs(ends + 2)) < 0.1).all()
    assert 400 < (ends > 0).sum() < 600
    left = [(lesson.noisy_descent([1.0, 0.0], noise)[-1, 0] < -0.5).sum() for noise in (0.1, 2, 4)]
    assert left[0] == 0
    assert 50 < left[1] < 200 < 850 < left[2]


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("error, 14 / 3", "error, 13 / 3", "loss at w = 1"),
        ("w - 3 / 28", "w - 3 / 29", "w after one step"),
        ("[x.sum(), 64]]", "[x.sum(), 63]]", "Hessian"),
        ("batch_size=8, shuffle=False", "batch_size=8", ""),
        ("noisy_descent([1.0, 0.0], noise)", "noisy_descent([1.0, 0.0], 0.1)", ""),
        ("(1 - 2 * share) ** 200", "(1 - 2 * share) ** 199", "0.02 · 2/L: 200 steps"),
        ("distance[0], 1 - 2 * share", "distance[0], 1 - share", "0.02 · 2/L"),
    ],
)
def test_it_fails_if_a_formula_is_wrong(right: str, wrong: str, named: str, tmp_path: Path) -> None:
    assert named in fails_when_broken(NAME, right, wrong, tmp_path)


def test_it_opens_as_a_notebook() -> None:
    assert_cells(NAME)
