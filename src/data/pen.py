"""The width of a pen: how far each pixel is from the edge of a stroke, and strokes redrawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

FINE = 3  # resolution at which strokes are redrawn, relative to the image
Distances = NDArray[np.float64]


def to_edge(inside: NDArray[np.bool_]) -> Distances:
    """Return the distance of each pixel to the edge of the strokes, negative outside of them."""
    within, without = (ndimage.distance_transform_edt(part) for part in (inside, ~inside))
    return np.where(inside, within - 0.5, 0.5 - without)


def width_of(distances: Distances) -> float:
    """Return the width of the strokes in pixels: the mean distance in a stroke of width w is w / 4.

    Args:
        distances: As `to_edge` returns them.
    """
    return float(4 * distances[distances > 0].mean())


def redrawn(x: Tensor, factors: Sequence[float]) -> Tensor:
    """Return images redrawn by other pens, as thick as a factor times the pen of each image.

    Morpho-MNIST thins and thickens digits in the same way, relative to their own width at a higher
    resolution (Castro et al., JMLR 20, 2019).

    Args:
        x: Light strokes on black in [0, 1], `(n, 1, rows, columns)`.
        factors: Widths of the new pens; 1 is that of the image.

    Returns:
        Images `(factors, n, 1, rows, columns)`.
    """
    fine = F.interpolate(x, scale_factor=float(FINE), mode="bilinear")[:, 0].numpy() > 0.5
    strokes = np.stack([_strokes(image, factors) for image in fine], axis=1)
    drawn = torch.from_numpy(strokes).to(x.dtype)
    return F.avg_pool2d(drawn, FINE)[:, :, None]


def _strokes(inside: NDArray[np.bool_], factors: Sequence[float]) -> NDArray[Any]:
    if not inside.any():
        return np.zeros((len(factors), *inside.shape))
    distances = to_edge(inside)
    wider = (np.array(factors) - 1) * width_of(distances) / 2  # on each side
    return np.clip(distances + wider[:, None, None] + 0.5, 0, 1)
