"""Images as users really have them: blurred, noisy, shifted and so on, in five strengths.

The protocol is that of Hendrycks and Dietterich, "Benchmarking neural network robustness to common
corruptions and perturbations", ICLR 2019, and of Mu and Gilmer, "MNIST-C: a robustness benchmark
for computer vision", 2019: a network meets the corruptions in its test only. The strengths are
those of this project, so figures compare with one another, and not with those of the papers.
"""

from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from src.data.loader import mixed
from src.data.pen import redrawn

STRENGTHS = 5
SIDE = 28  # lengths are in pixels of an image of this side; larger images have larger ones
COMPASS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


class Corruption(NamedTuple):
    """A way to corrupt images.

    Attributes:
        apply: Maps images `(n, channels, rows, columns)` in [0, 1], five amounts and a random
            generator to images `(5, n, channels, rows, columns)`.
        amounts: The five strengths.
        unit: Form of an amount as text.
        strokes: Whether it is for light strokes on black only.
    """

    apply: Callable[[Tensor, Sequence[float], Generator], Tensor]
    amounts: tuple[float, ...]
    unit: str
    strokes: bool = False


def corrupted(name: str, x: Tensor, *seed: int) -> Tensor:
    """Return images in five strengths of a corruption, `(5, n, channels, rows, columns)`.

    They are rounded to 256 levels, as image files are. The five strengths share their random
    draws, so that an image is shifted further in the same direction, for example.

    Args:
        name: One of CORRUPTIONS.
        x: Images in [0, 1], `(n, channels, rows, columns)`.
        seed: Numbers that decide the random draws.
    """
    one = CORRUPTIONS[name]
    generator = torch.Generator().manual_seed(mixed(*seed))
    return (255 * one.apply(x, one.amounts, generator).clamp(0, 1)).round() / 255


def _each(
    apply: Callable[[Tensor, float, Generator], Tensor],
) -> Callable[[Tensor, Sequence[float], Generator], Tensor]:
    """Return a function that applies another one in all strengths, with the same random draws."""

    def in_all(x: Tensor, amounts: Sequence[float], generator: Generator) -> Tensor:
        state = generator.get_state()
        return torch.stack([apply(x, a, generator.set_state(state)) for a in amounts])

    return in_all


def blur(x: Tensor, deviation: float, _: Generator) -> Tensor:
    """Return images blurred by a Gaussian, with its standard deviation in pixels."""
    sigma = deviation * x.shape[-1] / SIDE
    return transforms.gaussian_blur(x, [2 * ceil(3 * sigma) + 1] * 2, [sigma] * 2)


def noise(x: Tensor, deviation: float, generator: Generator) -> Tensor:
    """Return images with Gaussian noise on each value."""
    return x + deviation * torch.randn(x.shape, generator=generator)


def contrast(x: Tensor, factor: float, _: Generator) -> Tensor:
    """Return images whose values are moved towards the mean of each image."""
    return transforms.adjust_contrast(x, factor)


def shift(x: Tensor, pixels: float, generator: Generator) -> Tensor:
    """Return images shifted in one of eight directions, by so many pixels along each side."""
    by = round(pixels * x.shape[-1] / SIDE)
    moved = [transforms.affine(x, 0.0, [i * by, j * by], 1.0, [0.0, 0.0]) for i, j in COMPASS]
    return _one_of(torch.stack(moved), generator)


def rotation(x: Tensor, degrees: float, generator: Generator) -> Tensor:
    """Return images rotated by an angle, in either direction."""
    way = InterpolationMode.BILINEAR
    turned = [transforms.rotate(x, angle, way) for angle in (degrees, -degrees)]
    return _one_of(torch.stack(turned), generator)


def occlusion(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Return images with a black square at a random place, its side a share of the image's."""
    sides = x.shape[-2:]
    length = round(share * min(sides))
    hidden = []
    for side in sides:
        start = torch.rand(len(x), 1, generator=generator).mul(side - length + 1).floor()
        place = torch.arange(side)
        hidden.append((place >= start) & (place < start + length))
    return x.masked_fill((hidden[0][:, :, None] & hidden[1][:, None, :])[:, None], 0.0)


def pen(x: Tensor, factors: Sequence[float], _: Generator) -> Tensor:
    """Return strokes redrawn by thicker or thinner pens."""
    return redrawn(x, factors)


def _one_of(variants: Tensor, generator: Generator) -> Tensor:
    """Return a random one of the variants `(k, n, ...)` of each image."""
    count, n = variants.shape[:2]
    return variants[torch.randint(count, (n,), generator=generator), torch.arange(n)]


CORRUPTIONS = {
    "blur": Corruption(_each(blur), (0.5, 1.0, 1.5, 2.0, 2.5), "{:g} px"),
    "noise": Corruption(_each(noise), (0.1, 0.2, 0.3, 0.4, 0.5), "{:g}"),
    "contrast": Corruption(_each(contrast), (0.7, 0.5, 0.35, 0.2, 0.1), "{:.0%}"),
    "shift": Corruption(_each(shift), (1, 2, 3, 4, 5), "{:g} px"),
    "rotation": Corruption(_each(rotation), (10, 20, 30, 40, 50), "{:g}°"),
    "thick pen": Corruption(pen, (1.3, 1.6, 1.9, 2.2, 2.5), "{:.0%}", strokes=True),
    "thin pen": Corruption(pen, (0.85, 0.7, 0.55, 0.4, 0.25), "{:.0%}", strokes=True),
    "occlusion": Corruption(_each(occlusion), (0.1, 0.2, 0.3, 0.4, 0.5), "{:.0%}"),
}
