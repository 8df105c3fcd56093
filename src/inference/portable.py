"""A self-contained network for export: raw pixels in, probabilities out."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


class Portable(nn.Module):
    """Pads and normalises images, runs the network and returns probabilities.

    Its parameters and buffers are `net.*`, `mean` and `std`.

    Args:
        net: Maps normalised images `(B, channels, rows, columns)` to outputs `(B, classes)`.
        mean: Of each channel over the training images, `(channels, 1, 1)`.
        std: Standard deviation, likewise.
        pad: Black pixels added on each side.
        probabilities: Turns outputs `(B, classes)` into probabilities.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: Tensor,
        std: Tensor,
        pad: int,
        probabilities: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.net, self.pad, self.probabilities = net, pad, probabilities
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.eval()  # switches dropout off

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities `(B, classes)` of images `(B, channels, rows, columns)`, uint8."""
        x = F.pad(images.float(), [self.pad] * 4)
        return self.probabilities(self.net((x - self.mean) / self.std))
