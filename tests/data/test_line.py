"""Synthetic data follows its formulas: lines, smooth functions and noise."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
import torch

from src.data import Line, Noise, SmoothFunction, TensorData
from src.errors import UserError

SPLITS = ["train", "val", "test"]
each_kind = pytest.mark.parametrize("kind", [Line, SmoothFunction, Noise])


def points(data: TensorData, name: str = "train") -> tuple[np.ndarray, np.ndarray]:
    data.setup("fit")
    return data.splits[name].x.numpy(), data.splits[name].y.numpy()


@pytest.mark.parametrize("name", SPLITS)
def test_points_lie_on_the_line(name: str) -> None:
    x, y = points(Line(slope=-3, intercept=0.5), name)
    np.testing.assert_allclose(y, -3 * x + 0.5, atol=1e-6)


@pytest.mark.parametrize("name", SPLITS)
def test_several_slopes_are_one_for_each_feature(name: str) -> None:
    data = Line(slope=[1, -2, 0.5], intercept=4)
    x, y = points(data, name)
    assert data.input_shape == [3]
    np.testing.assert_allclose(y[:, 0], x @ [1, -2, 0.5] + 4, atol=1e-5)


def test_training_points_of_one_feature_are_evenly_spaced() -> None:
    x, _ = points(Line(low=-2, high=6, num_points=33))
    np.testing.assert_allclose(x[:, 0], np.linspace(-2, 6, 33), atol=1e-6)


@pytest.mark.parametrize("slope", [[2.0], [2.0, 1.0]])
@pytest.mark.parametrize("name", ["val", "test"])
def test_other_points_fill_the_range(slope: list[float], name: str) -> None:
    x, _ = points(Line(slope=slope, low=-2, high=6, num_held_out=4000), name)
    assert x.min() >= -2
    assert x.max() <= 6
    np.testing.assert_allclose(x.mean(0), 2, atol=4 * 8 / sqrt(12 * 4000))
    np.testing.assert_allclose(x.std(0), 8 / sqrt(12), rtol=0.05)


def test_the_noise_on_the_line_has_the_requested_deviation() -> None:
    data = Line(slope=2, intercept=1, noise=0.3, num_points=4000)
    x, y = points(data)
    noise = y - (2 * x + 1)
    assert noise.std() == pytest.approx(0.3, abs=4 * 0.3 / sqrt(2 * 4000))
    assert noise.mean() == pytest.approx(0, abs=4 * 0.3 / sqrt(4000))
    assert data.noise_floor == pytest.approx(0.09)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, -2.0), (float("nan"), 1.0)])
def test_a_range_without_numbers_is_refused(low: float, high: float) -> None:
    with pytest.raises(UserError, match=f"--data.low {low} must be less than --data.high {high}"):
        Line(low=low, high=high)


def test_a_line_without_slopes_is_refused() -> None:
    with pytest.raises(UserError, match="slope"):
        Line(slope=[])


def test_the_smooth_function_is_three_times_the_sine_of_a_mixture() -> None:
    x, y = points(SmoothFunction(num_features=3, num_targets=5, noise=0, num_points=4000))
    near = np.linalg.norm(x, axis=1) < 1  # where the sine can be inverted
    mixing = np.linalg.lstsq(x[near], np.arcsin(y[near] / 3), rcond=None)[0]
    assert mixing.shape == (3, 5)
    np.testing.assert_allclose(y, 3 * np.sin(x @ mixing), atol=1e-4)


def test_the_mixture_has_deviation_a_quarter() -> None:
    weights = []
    for seed in range(100):
        x, y = points(SmoothFunction(1, 4, noise=0, points_seed=seed, num_held_out=1))
        near = np.abs(x[:, 0]).argsort()[:50]
        weights.append(np.linalg.lstsq(x[near], np.arcsin(y[near] / 3), rcond=None)[0])
    assert np.std(weights) == pytest.approx(0.25, abs=4 * 0.25 / sqrt(2 * 400))


@pytest.mark.parametrize("name", SPLITS)
def test_inputs_of_the_smooth_function_are_uniform_from_minus_2_to_2(name: str) -> None:
    x, _ = points(SmoothFunction(num_features=2, num_points=4000, num_held_out=4000), name)
    assert np.abs(x).max() <= 2
    np.testing.assert_allclose(x.mean(0), 0, atol=4 * 4 / sqrt(12 * 4000))
    np.testing.assert_allclose(x.std(0), 4 / sqrt(12), rtol=0.05)


def test_the_noise_on_the_smooth_function_has_the_requested_deviation() -> None:
    noisy, exact = SmoothFunction(noise=0.2), SmoothFunction(noise=0)
    (x, y), (same_x, clean) = points(noisy), points(exact)
    np.testing.assert_array_equal(x, same_x)
    assert (y - clean).std() == pytest.approx(0.2, abs=4 * 0.2 / sqrt(2 * y.size))
    assert noisy.noise_floor == pytest.approx(0.04)


@pytest.mark.parametrize("name", SPLITS)
def test_noise_is_normal_and_its_targets_are_independent_of_it(name: str) -> None:
    x, y = points(Noise(shape=[3], num_targets=2, num_examples=4000, num_held_out=4000), name)
    for values in (x, y):
        np.testing.assert_allclose(values.mean(0), 0, atol=4 / sqrt(4000))
        np.testing.assert_allclose(values.std(0), 1, atol=4 / sqrt(2 * 4000))
        np.testing.assert_allclose((values**4).mean(0), 3, atol=4 * sqrt(96 / 4000))
    together = np.corrcoef(np.concatenate([x, y], axis=1), rowvar=False)
    np.testing.assert_allclose(together, np.eye(5), atol=4 / sqrt(4000))


def test_the_noise_floor_is_the_error_of_predicting_zero() -> None:
    data = Noise(num_held_out=1000)
    _, y = points(data, "test")
    assert np.square(y).mean() == pytest.approx(data.noise_floor, abs=4 * sqrt(2 / y.size))


@pytest.mark.parametrize(
    ("data", "shape", "outputs"),
    [
        (Line(num_points=30, num_held_out=20), [1], 1),
        (Line(slope=[1, 2], num_points=30, num_held_out=20), [2], 1),
        (SmoothFunction(3, 2, num_points=30, num_held_out=20), [3], 2),
        (Noise((1, 8, 9), 4, num_examples=30, num_held_out=20), [1, 8, 9], 4),
    ],
)
def test_batches_have_the_declared_shapes(data: TensorData, shape: list[int], outputs: int) -> None:
    data.setup("fit")
    assert data.input_shape == shape
    assert data.num_outputs == outputs
    assert data.num_classes is None
    assert data.describe()["sizes"] == {"train": 30, "val": 20, "test": 20}
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for x, y in loader:
            assert x.dtype == y.dtype == torch.float32
            assert list(x.shape[1:]) == shape
            assert y.shape == (len(x), outputs)


@each_kind
def test_points_are_the_same_for_the_same_points_seed(kind: Callable[..., TensorData]) -> None:
    for name in SPLITS:
        torch.manual_seed(1)
        first = points(kind(points_seed=3), name)
        torch.manual_seed(2)
        np.testing.assert_array_equal(first[0], points(kind(points_seed=3), name)[0])
        np.testing.assert_array_equal(first[1], points(kind(points_seed=3), name)[1])


@each_kind
def test_points_differ_between_points_seeds(kind: Callable[..., TensorData]) -> None:
    one, two = (points(kind(points_seed=seed), "test")[0] for seed in (3, 4))
    assert (one != two).mean() > 0.99


@each_kind
def test_the_training_seed_does_not_change_the_points(
    kind: Callable[..., TensorData],
) -> None:
    one, two = (points(kind(seed=seed)) for seed in (1, 2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


@each_kind
def test_validation_and_test_points_differ(kind: Callable[..., TensorData]) -> None:
    val, test = (points(kind(), name)[0] for name in ("val", "test"))
    assert (val != test).mean() > 0.99
