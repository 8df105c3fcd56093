"""The digits of scikit-learn as images of MNIST's size."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits as original
from torch import Tensor

from src.data.digits import load_digits


@pytest.fixture(scope="module")
def images() -> Tensor:
    (x, _), (test_x, _) = load_digits()
    return torch.cat([x, test_x])


@pytest.fixture(scope="module")
def labels() -> Tensor:
    (_, y), (_, test_y) = load_digits()
    return torch.cat([y, test_y])


def test_1540_images_are_for_training_and_257_for_the_test() -> None:
    (x, y), (test_x, test_y) = load_digits()
    assert [len(part) for part in (x, y, test_x, test_y)] == [1540, 1540, 257, 257]


def test_images_are_28_by_28_grey_bytes(images: Tensor) -> None:
    assert images.shape == (1797, 1, 28, 28)
    assert images.dtype == torch.uint8


def test_labels_are_those_of_scikit_learn_in_its_order(labels: Tensor) -> None:
    np.testing.assert_array_equal(labels.numpy(), original().target)
    assert labels.dtype == torch.int64


def test_all_ten_digits_are_in_both_sets() -> None:
    for _, y in load_digits():
        assert sorted(set(y.tolist())) == list(range(10))


def test_the_brightest_value_is_255_and_the_corners_are_black(images: Tensor) -> None:
    assert images.max() == 255
    assert images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].max() == 0


def test_the_mass_of_each_digit_is_in_the_middle(images: Tensor) -> None:
    pixels = images[:, 0].numpy().astype(np.float64)
    mass, place = pixels.sum((1, 2)), np.arange(28) - 13.5
    assert np.abs(pixels.sum(2) @ place / mass).max() < 1
    assert np.abs(pixels.sum(1) @ place / mass).max() < 1


def test_each_digit_is_the_original_scaled_to_20_by_20(images: Tensor) -> None:
    for image, small in zip(images[::60, 0].numpy(), original().images[::60], strict=True):
        scaled = Image.fromarray((small * 255 / 16).astype(np.float32))
        wanted = np.asarray(scaled.resize((20, 20), Image.Resampling.BILINEAR))
        windows = np.lib.stride_tricks.sliding_window_view(image.astype(float), (20, 20))
        assert np.abs(windows - wanted).max(axis=(2, 3)).min() <= 0.51
        assert image.sum() == pytest.approx(wanted.sum(), rel=0.01)
