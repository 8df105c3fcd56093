"""Occlusion: how much the score of a class falls when a patch of the image is hidden."""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

PLACES = 16  # patches along the longer side


def occlusion(score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return how much a score falls, by pixel `(rows, columns)`, averaged over patches on it.

    The method: M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks",
    ECCV 2014, section 4.2. A patch is filled with the background, the median of the edge.

    Args:
        score: Maps images `(n, channels, rows, columns)` to numbers `(n,)`.
        x: The image, `(channels, rows, columns)`.
    """
    covers = patches(*x.shape[1:]).to(x.device)
    edge = torch.cat([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], dim=1)
    ground = edge.median(dim=1).values.view(-1, 1, 1)
    hidden = torch.where(covers[:, None], ground, x)
    fall = score(x[None]) - score(hidden)
    return torch.einsum("n,nij->ij", fall, covers.to(fall.dtype)) / covers.sum(dim=0)


def patches(rows: int, columns: int) -> Tensor:
    """Return which pixels each patch covers, bool `(n, rows, columns)`; together they cover all."""
    step = ceil(max(rows, columns) / PLACES)
    reach = ceil(1.5 * step)  # 7x7 pixels in 28x28; smaller patches rarely change a prediction
    down, across = ((torch.arange(0, side, step), torch.arange(side)) for side in (rows, columns))
    vertical, horizontal = ((a[:, None] - b).abs() <= reach for a, b in (down, across))
    return (vertical[:, None, :, None] & horizontal[None, :, None, :]).flatten(0, 1)
