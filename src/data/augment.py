"""Random augmentation of batches of training images; each image gets its own random draws."""

from dataclasses import dataclass
from math import radians

import torch
import torch.nn.functional as F
from jsonargparse.typing import ClosedUnitInterval
from torch import Tensor

from src.ranges import Degrees, Padding, Pixels, Slant


@dataclass
class Augment:
    """Random augmentations of images `(B, C, H, W)`; each is off by default.

    Shift, rotation, scale, shear and elastic deformation are combined and applied in a single
    resampling, as in Simard, Steinkraus and Platt (2003). Pixels from outside the image are black.

    Args:
        shift: Maximum shift of the middle of the image in pixels, in each direction; rotation,
            scale and shear do not enlarge it.
        rotation: Maximum rotation in degrees, in either direction.
        scale: Maximum relative change of the sampling step, drawn for each axis separately: 0.1
            scales images by a factor of 1/1.1 to 1/0.9.
        shear: Maximum shear in degrees, in either direction.
        elastic: Standard deviation in pixels of a smooth random displacement field.
        elastic_sigma: Standard deviation in pixels of the Gaussian that smooths this field.
        flip: Probability of a horizontal flip.
        crop: Black pixels to add on each side before a random crop to the original size.
        erase: Probability of setting a rectangle of a tenth to a third of each side, and at least
            one pixel, to black.
    """

    shift: Pixels = 0.0
    rotation: Degrees = 0.0
    scale: ClosedUnitInterval = 0.0
    shear: Slant = 0.0
    elastic: Pixels = 0.0
    elastic_sigma: Pixels = 4.0
    flip: ClosedUnitInterval = 0.0
    crop: Padding = 0
    erase: ClosedUnitInterval = 0.0

    @property
    def active(self) -> bool:
        """Whether any augmentation is on."""
        return self.warps or bool(self.flip or self.crop or self.erase)

    @property
    def warps(self) -> bool:
        """Whether any augmentation that resamples pixels is on."""
        return bool(self.shift or self.rotation or self.scale or self.shear or self.elastic)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return augmented images `(B, C, H, W)`, float32, of the same shape and value range."""
        if self.warps:
            x = self._warp(x, generator)
        if self.flip:
            mirrored = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) < self.flip
            x = torch.where(mirrored, x.flip(-1), x)
        if self.crop:
            x = _random_crop(x, self.crop, generator)
        return _erase(x, self.erase, generator) if self.erase else x

    def _warp(self, x: Tensor, generator: torch.Generator) -> Tensor:
        grid = F.affine_grid(self._matrices(x, generator), list(x.shape), align_corners=False)
        if self.elastic:
            grid = grid + _displacement(x, self.elastic, self.elastic_sigma, generator)
        return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)

    def _matrices(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return a random affine matrix per image, (B, 2, 3), in affine_grid's coordinates."""
        height, width = x.shape[-2:]
        u = 2 * torch.rand(6, len(x), generator=generator, device=x.device) - 1  # in [-1, 1)
        angle, shear = u[0] * radians(self.rotation), u[1] * radians(self.shear)
        sx, sy = 1 + u[2] * self.scale, 1 + u[3] * self.scale
        dx, dy = u[4] * self.shift * 2 / width, u[5] * self.shift * 2 / height
        cos, sin, slant = angle.cos(), angle.sin(), shear.tan()
        ratio = height / width  # rotates in pixels, although both sides span [-1, 1]
        first = torch.stack([cos * sx, (cos * slant - sin) * sy * ratio], dim=-1)
        second = torch.stack([sin * sx / ratio, (sin * slant + cos) * sy], dim=-1)
        linear = torch.stack([first, second], dim=1)
        # Shifted first, then turned and scaled: the other order would scale the shift, too.
        offset = linear @ torch.stack([dx, dy], dim=-1)[:, :, None]
        return torch.cat([linear, offset], dim=2)


def _displacement(x: Tensor, strength: float, sigma: float, generator: torch.Generator) -> Tensor:
    """Return a smooth random field (B, H, W, 2) with standard deviation `strength` in pixels."""
    batch, _, height, width = x.shape
    radius = max(1, round(3 * sigma))
    sides = (height + 2 * radius, width + 2 * radius)
    noise = torch.randn(batch, 2, *sides, generator=generator, device=x.device)
    offset = torch.arange(-radius, radius + 1, device=x.device)
    kernel = torch.exp(-0.5 * (offset / max(sigma, 1e-3)) ** 2)
    kernel = (kernel / kernel.norm()).expand(2, 1, 1, -1)  # norm 1 keeps the deviation at 1
    smooth = F.conv2d(F.conv2d(noise, kernel, groups=2), kernel.transpose(2, 3), groups=2)
    pixel = torch.tensor([2 / width, 2 / height], device=x.device)
    return strength * pixel * smooth.permute(0, 2, 3, 1)


def _random_crop(x: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    batch, _, height, width = x.shape
    padded = F.pad(x, [pad] * 4)
    top, left = torch.randint(2 * pad + 1, (2, batch, 1), generator=generator, device=x.device)
    rows = top + torch.arange(height, device=x.device)  # (B, H)
    columns = left + torch.arange(width, device=x.device)  # (B, W)
    image = torch.arange(batch, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def _erase(x: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Set a random rectangle of randomly chosen images to black (Zhong et al., 2017)."""
    batch, _, height, width = x.shape
    u = torch.rand(5, batch, 1, generator=generator, device=x.device)
    inside = []
    for side, size, place in ((height, u[0], u[1]), (width, u[2], u[3])):
        # The millionth is for rounding: an interval of length 1 may miss every middle of a pixel.
        length = (side * (0.1 + size * (1 / 3 - 0.1))).clamp(min=1 + 1e-6)
        start = place * (side - length)
        pixel = torch.arange(side, device=x.device) + 0.5
        inside.append((pixel >= start) & (pixel < start + length))  # (B, side)
    hole = inside[0][:, :, None] & inside[1][:, None, :] & (u[4] < probability)[:, :, None]
    return x.masked_fill(hole[:, None], 0.0)
