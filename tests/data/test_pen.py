"""Strokes are redrawn as thick as they should be."""

import pytest
import torch

from src.data.pen import redrawn


def bars(width: int) -> torch.Tensor:
    """Return two images with a bar of a given width, upright and lying."""
    x = torch.zeros(2, 1, 28, 28)
    x[0, 0, 2:26, 12 : 12 + width] = x[1, 0, 12 : 12 + width, 2:26] = 1.0
    return x


@pytest.mark.parametrize("width", [3, 4])
def test_a_bar_is_as_thick_as_the_factor_says(width: int) -> None:
    factors = [0.5, 1.0, 1.5, 2.0]
    found = redrawn(bars(width), factors)
    assert found.shape == (4, 2, 1, 28, 28)
    for factor, (upright, lying) in zip(factors, found, strict=True):
        for middle in (upright[0, 14], lying[0, :, 14]):  # away from the ends
            assert float(middle.sum()) == pytest.approx(factor * width, abs=0.35)
    torch.testing.assert_close(found[:, 0], found[:, 1].transpose(2, 3))


def test_factor_one_leaves_a_bar_as_it_is() -> None:
    x = bars(3)
    assert (redrawn(x, [1.0])[0] - x).abs().mean() < 0.01


def test_a_blank_image_stays_blank() -> None:
    assert not redrawn(torch.zeros(1, 1, 28, 28), [0.5, 2.0]).any()
