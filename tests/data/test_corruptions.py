"""Corruptions equal those of numpy and scipy, and repeat."""

from math import sqrt

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from src.data import corruptions
from src.data.corruptions import CORRUPTIONS, STRENGTHS, corrupted


def images(n: int, channels: int = 1, side: int = 28) -> Tensor:
    """Return smooth random images in [0, 1]: what bilinear resampling is made for."""
    draws = np.random.default_rng(0).random((n, channels, side, side))
    smooth = ndimage.gaussian_filter(draws, (0, 0, 2, 2))
    scaled = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return torch.from_numpy(scaled).float()


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_has_five_strengths_that_repeat(name: str) -> None:
    x = images(6)
    found = corrupted(name, x, 1, 2)
    assert found.shape == (STRENGTHS, *x.shape)
    assert found.dtype == torch.float32
    assert torch.equal(found, corrupted(name, x, 1, 2))
    torch.testing.assert_close(255 * found, (255 * found).round())
    assert found.min() >= 0
    assert found.max() <= 1
    distances = (found - x).abs().mean(dim=(1, 2, 3, 4))
    assert (distances > 0).all()
    if not CORRUPTIONS[name].strokes:  # strokes of these blots are no strokes
        assert distances.tolist() == sorted(distances.tolist())


@pytest.mark.parametrize("name", ["noise", "shift", "rotation", "occlusion"])
def test_draws_depend_on_the_seed_only(name: str) -> None:
    x = images(30)
    assert not torch.equal(corrupted(name, x, 0), corrupted(name, x, 1))


def test_blur_is_scipys() -> None:
    x = images(3)
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, 1.5, 1.5), mode="mirror", radius=5)
    np.testing.assert_allclose(corruptions.blur(x, 1.5, generator()), expected, atol=1e-4)


def test_lengths_grow_with_the_image() -> None:
    x = images(3, side=56)
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, 3, 3), mode="mirror", radius=9)
    np.testing.assert_allclose(corruptions.blur(x, 1.5, generator()), expected, atol=1e-4)
    moved = corruptions.shift(x, 2, generator())
    assert all(where(one, other, 4) for one, other in zip(x, moved, strict=True))


def test_noise_is_normal_and_the_same_in_all_strengths() -> None:
    x = torch.full((50, 1, 28, 28), 0.5)
    added = corruptions.noise(x, 0.1, generator()) - x
    assert abs(added.mean()) < 4 * 0.1 / sqrt(added.numel())
    assert float(added.std()) == pytest.approx(0.1, rel=0.02)
    weak, strong = (corrupted("noise", x, 0)[i] - x for i in (0, 1))
    inside = strong.abs() < 0.49
    assert (strong - 2 * weak)[inside].abs().max() < 3 / 255  # rounded to 256 levels


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_moves_values_towards_the_mean(channels: int) -> None:
    x = images(4, channels)
    grey = x[:, 0] if channels == 1 else x.permute(0, 2, 3, 1) @ torch.tensor([0.299, 0.587, 0.114])
    mean = grey.mean(dim=(1, 2)).view(-1, 1, 1, 1)
    expected = mean + 0.2 * (x - mean)
    np.testing.assert_allclose(corruptions.contrast(x, 0.2, generator()), expected, atol=2e-4)


def where(image: Tensor, moved: Tensor, by: int) -> list[tuple[int, int]]:
    """Return the directions in which an image was moved by so many pixels, by numpy."""
    padded = np.pad(image.numpy(), ((0, 0), (by, by), (by, by)))
    side = image.shape[-1]
    parts = {(i, j): padded[:, by - i * by :, by - j * by :][:, :side, :side]
             for i in (-1, 0, 1) for j in (-1, 0, 1)}  # fmt: skip
    return [way for way, part in parts.items() if np.allclose(part, moved, atol=1e-5)]


def test_shift_moves_each_image_in_one_of_eight_directions() -> None:
    x = images(200)
    found = [where(*pair, 3) for pair in zip(x, corruptions.shift(x, 3, generator()), strict=True)]
    assert all(len(ways) == 1 for ways in found)
    assert {ways[0] for ways in found} == {*corruptions.COMPASS}


def test_an_image_is_shifted_in_the_same_direction_in_all_strengths() -> None:
    x = images(20)
    found = corrupted("shift", x, 0)
    for i, image in enumerate(x):
        rounded = (255 * image).round() / 255
        ways = [where(rounded, found[k, i], k + 1) for k in range(STRENGTHS)]
        assert ways == [ways[0]] * STRENGTHS


def test_rotation_by_a_right_angle_is_numpys() -> None:
    x = images(40)
    turned = corruptions.rotation(x, 90, generator()).numpy()
    ways = [[k for k in (1, -1) if np.allclose(turned[i], np.rot90(x[i], k, (1, 2)), atol=1e-5)]
            for i in range(len(x))]  # fmt: skip
    assert {tuple(way) for way in ways} == {(1,), (-1,)}


def test_rotation_is_scipys() -> None:
    x = images(10)
    turned = corruptions.rotation(x, 30, generator()).numpy()
    for image, found in zip(x.numpy(), turned, strict=True):
        both = [ndimage.rotate(image, a, (1, 2), reshape=False, order=1) for a in (30, -30)]
        inner = [np.abs(one - found)[:, 5:-5, 5:-5].max() for one in both]
        assert min(inner) < 1e-4


def test_occlusion_hides_one_square_within_the_image() -> None:
    x = torch.ones(5000, 1, 28, 28)
    hidden = corruptions.occlusion(x, 0.25, generator()) == 0
    assert (hidden.sum(dim=(2, 3)) == 49).all()
    assert ((hidden.any(dim=3).sum(dim=2) == 7) & (hidden.any(dim=2).sum(dim=2) == 7)).all()
    assert hidden.any(dim=1).float().mean(dim=0).min() > 0  # also corners
