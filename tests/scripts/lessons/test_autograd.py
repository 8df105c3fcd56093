"""Lesson 2: its output, and its numbers computed again with numpy and polynomials."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.polynomial import Polynomial

from tests.scripts.lessons.running import Run, assert_cells, assert_drawn, run_lesson, value

FILE = "2_autograd.py"
CURVE = Polynomial([1, 3, 1])  # x² + 3x + 1
STEEP = (3 * Polynomial([2, 1]) ** 2 - 30) ** 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_lesson(FILE, tmp_path_factory.mktemp("lesson"))


def test_it_opens_as_a_notebook() -> None:
    assert_cells(FILE)


def test_it_prints_its_sections_in_order(run: Run) -> None:
    headings = ["A slope", "The chain rule", "Is it right?", "Many outputs", "Gradients add up"]
    headings += ["Without recording", "The record of a loss"]
    at = [run.text.index(f"\n{i}. {heading}") for i, heading in enumerate(headings, start=1)]
    assert at == sorted(at)
    for line in (
        "x: leaf True, grad_fn None",
        "y: leaf False, grad_fn AddBackward0",
        "gradcheck agrees",
        "x.grad after zero_grad: None",
        "kept holds AddBackward0, plain is a float",
    ):
        assert f"\n{line}\n" in run.text
    assert run.text.count(" refused: ") == 4


def test_it_draws_its_pictures(run: Run) -> None:
    assert_drawn(run, ["2_difference.png", "2_descent.png", "2_record.png"])


def test_slopes_equal_those_of_polynomials(run: Run) -> None:
    assert value(run, "y at 2") == CURVE(2) == 11
    assert value(run, "dy/dx at 2") == CURVE.deriv()(2) == 7
    assert value(run, "z") == STEEP(2) == 324
    assert value(run, "dz/dx = dz/da * 1") == STEEP.deriv()(2) == 864
    of_c, of_b = Polynomial([0, 0, 1]), Polynomial([-30, 1]) ** 2
    of_a = (3 * Polynomial([0, 1]) ** 2 - 30) ** 2
    assert value(run, "dz/dc = 2 c") == of_c.deriv()(18)
    assert value(run, "dz/db = dz/dc * 1") == of_b.deriv()(48)
    assert value(run, "dz/da = dz/db * 6 a") == of_a.deriv()(4)
    assert value(run, "x after the step") == pytest.approx(2 - 0.1 * CURVE.deriv()(2))
    assert value(run, "slope of x * x") == 4
    assert value(run, "slope of x * x.detach()") == 2


def test_the_error_of_the_central_difference_is_its_third_derivative(run: Run) -> None:
    assert STEEP.deriv(3)(2) / 6 == 144
    assert STEEP.deriv(5)(2) == 0  # no further error terms
    central = run.central_difference
    for h in (0.1, 0.01, 0.001):
        assert central(STEEP, 2.0, h) - 864 == pytest.approx(144 * h**2, rel=1e-3)


def test_the_jacobian_equals_finite_differences(run: Run) -> None:
    def three(x: np.ndarray) -> np.ndarray:
        return np.array([x[0] ** 2, x[0] * x[1], 3 * x[1]])

    at, h = np.array([2.0, 3.0]), 1e-6
    columns = [(three(at + h * one) - three(at - h * one)) / (2 * h) for one in np.eye(2)]
    jacobian = np.stack(columns, axis=1)
    np.testing.assert_allclose(value(run, "J"), jacobian, atol=1e-6)
    np.testing.assert_allclose(value(run, "vᵀJ"), [1, 10, 100] @ jacobian, rtol=1e-6)


def test_accumulated_slopes_do_not_converge(run: Run) -> None:
    """Accumulated, d[n + 1] = 1.8 d[n] - d[n - 1], whose roots are on the unit circle."""
    assert np.abs(np.roots([1, -1.8, 1])) == pytest.approx([1, 1])
    distance = [3.5, 0.8 * 3.5]
    while len(distance) < 61:
        distance.append(1.8 * distance[-1] - distance[-2])
    np.testing.assert_allclose(run.accumulated, np.array(distance) - 1.5, atol=1e-4)
    expected = 3.5 * 0.8 ** np.arange(61) - 1.5
    np.testing.assert_allclose(run.correct, expected, atol=1e-5)


def test_the_loss_of_the_line_has_the_slopes_of_least_squares(run: Run) -> None:
    X, y, w = np.array([[1.0, 1.0], [2.0, 1.0]]), np.array([3.0, 5.0]), np.array([1.0, 0.0])
    error = X @ w - y
    slopes = 2 * X.T @ error / 2 + [0.2 * w[0], 0]
    assert value(run, "loss") == pytest.approx((error**2).mean() + 0.1)
    found = [value(run, "dloss/dw"), value(run, "dloss/db")]
    np.testing.assert_allclose(found, slopes, rtol=1e-6)


def boxes(figure) -> list[str]:
    return sorted(text.get_text() for text in figure.axes[0].texts if text.get_text())


def test_the_record_shows_each_step_and_leaf_once(run: Run) -> None:
    figure = run.figure
    steps = ["Add", "Add", "Mean", "Mul", "Mul", "Pow", "Pow", "Sub"]
    assert boxes(figure) == [*steps, "b\ngrad -5", "w\ngrad -7.8"]
    arrows = [text for text in figure.axes[0].texts if not text.get_text()]
    shown = [text for text in figure.axes[0].texts if text.get_text()]
    places = {text.get_position(): text.get_text() for text in shown}
    assert len(arrows) == 10
    into = [places[arrow.xy].partition("\n")[0] for arrow in arrows]
    assert (into.count("w"), into.count("b")) == (2, 1)
    assert all(arrow.xy[0] > arrow.get_position()[0] for arrow in arrows)  # from left to right


def test_the_answers_to_the_exercises_are_right(run: Run) -> None:
    assert (Polynomial([1, 0, 1]) ** 3).deriv()(1) == 24
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    run.three(x).sum().backward()
    assert x.grad.tolist() == [7, 5]
    w, b = run.w, run.b
    w.grad = b.grad = None
    figure = run.record(torch.tanh(w * 2 + b), {w: "w", b: "b"})
    assert boxes(figure) == ["Add", "Mul", "Tanh", "b", "w"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("y = x**2 + 3 * x + 1\n", "y = x**2 + 4 * x + 1\n"),
        ("b = 3 * a**2\n", "b = 2 * a**2\n"),
        ("return (3 * (x + 2) ** 2 - 30) ** 2", "return (3 * (x + 2) ** 2 - 29) ** 2"),
        ("/ (2 * h)", "/ h"),
        ("three(x).backward(v)", "three(x).sum().backward()"),
        ("            x.grad = None\n", "            pass\n"),
        ("    x.sub_(0.1 * x.grad)\ncheck", "    x.add_(0.1 * x.grad)\ncheck"),
        ("x.grad.zero_()\n", ""),
        ("x * x.detach(), x)", "x * x, x)"),
        ("- targets) ** 2).mean()", "- targets) ** 2).sum()"),
    ],
)
def test_it_fails_if_a_formula_is_wrong(right: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        run_lesson(FILE, tmp_path, (right, wrong))
