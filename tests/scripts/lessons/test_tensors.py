"""Lesson 1: its output, and its numbers computed again with numpy alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tests.scripts.lessons.running import Run, assert_cells, assert_drawn, run_lesson, value

FILE = "1_tensors.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_lesson(FILE, tmp_path_factory.mktemp("lesson"))


def test_it_opens_as_a_notebook() -> None:
    assert_cells(FILE)


def test_it_prints_its_sections_in_order(run: Run) -> None:
    headings = ["Making tensors", "Type and device", "Slices are views", "view, reshape, and where"]
    headings += ["Broadcasting", "* and @", "An image is a tensor", "Names that hide others"]
    at = [run.text.index(f"\n{i}. {heading}") for i, heading in enumerate(headings, start=1)]
    assert at == sorted(at)
    refused = ["table @ wide", "torch.tensor([1, 2]).mean()", "on_device.numpy()", "(3,) + (4,)"]
    refused += ["flipped.view(6)", "(2, 3) @ (2, 3)", "sum([1, 2, 3]), its name taken"]
    lines = [line for line in run.text.splitlines() if " refused: " in line]
    assert sorted(line.partition("  ")[0] for line in lines) == sorted(refused)


def test_it_draws_its_pictures(run: Run) -> None:
    assert_drawn(run, ["1_memory.png", "1_broadcasting.png", "1_pixels.png"])


def test_its_numbers_equal_those_of_numpy(run: Run) -> None:
    rows, A, B = np.arange(6).reshape(2, 3), np.array([[1, 2], [3, 4]]), np.array([[5, 6], [7, 8]])
    item = rows.itemsize
    predicted, target = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 2.0, 3.0])
    for what, expected in {
        "strides of rows": np.divide(rows.strides, item),
        "strides of flipped": np.divide(rows.T.strides, item),
        "place of flipped[2, 1] in memory": rows.T[2, 1],
        "flipped.reshape(6), a copy": rows.T.reshape(6),
        "rows.view(3, 2) does not transpose": rows.reshape(3, 2),
        "flipped does": rows.T,
        "strides of across.expand(3, 4)": np.divide(
            np.broadcast_to(np.arange(4), (3, 4)).strides, item
        ),
        "last row of down + across": 20 + np.arange(1, 5),
        "wrong: ((predicted - target) ** 2).mean()": ((predicted - target) ** 2).mean(),
        "right: predicted.squeeze(1) - target": ((predicted[:, 0] - target) ** 2).mean(),
        "A * B": A * B,
        "A @ B": A @ B,
        "byte 200 + byte 100": (np.array([200, 100], dtype=np.uint8)).sum(dtype=np.uint8),
    }.items():
        np.testing.assert_allclose(value(run, what), expected, rtol=1e-5, err_msg=what)


def test_an_untrained_model_is_confident_on_raw_pixels_only(run: Run) -> None:
    pixels = np.rint(load_digits().data * 255 / 16)
    np.testing.assert_array_equal(run.raw, pixels)
    weights = run.first_weights.double().numpy()
    assert np.abs(weights).max() < 1 / 8
    assert weights.std() == pytest.approx(1 / 8 / 3**0.5, rel=0.05)
    for scale, chance, low, high in ((1, 0, 0.98, 1), (255, 1, 0.1, 0.2)):
        scores = pixels / scale @ weights
        power = np.exp(scores - scores.max(axis=1, keepdims=True))
        expected = power / power.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(run.chance[chance], expected, atol=1e-3)
        assert low < expected.max(axis=1).mean() < high


def test_the_answers_to_the_exercises_are_right(run: Run) -> None:
    table = run.table
    assert (torch.ones(5, 1, 4) + torch.ones(3, 1)).shape == (5, 3, 4)
    assert (torch.ones(2, 3) + torch.ones(2, 1)).shape == (2, 3)
    with pytest.raises(RuntimeError, match=r"size of tensor a \(3\) must match .* b \(2\)"):
        torch.ones(2, 3) + torch.ones(2)
    assert (table - table.mean(dim=0)).mean(dim=0).abs().max() == 0
    assert (table - table.mean(dim=1, keepdim=True)).mean(dim=1).abs().max() == 0
    with pytest.warns(UserWarning, match="target size"):
        loss = torch.nn.functional.mse_loss(run.predicted, run.target)
    assert f"{loss:.4f}" == "1.3333"


def test_it_does_not_leave_python_names_hidden(run: Run) -> None:
    assert not hasattr(run, "sum")
    assert run.torch is torch


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("A @ B, [", "B @ A, ["),
        ("rows.T\n", "rows.reshape(3, 2)\n"),
        ("shared, copied = torch.from_numpy(array)", "shared, copied = torch.tensor(array)"),
        ("predicted.squeeze(1) - target) ** 2", "predicted - target) ** 2"),
        ("grid[:, 0].clone(), grid[:, 0]\n", "grid[:, 0], grid[:, 0]\n"),
        ("scaled = raw / 255", "scaled = raw / 16"),
        ("del sum\n", ""),
    ],
)
def test_it_fails_if_a_line_is_wrong(right: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, TypeError)):
        run_lesson(FILE, tmp_path, (right, wrong))
