"""A stand-in for MNIST with no file and no network: the digits that come with scikit-learn."""

import torch
import torch.nn.functional as F
from torch import Tensor

from src.data.images import Images


def load_digits() -> tuple[Images, Images]:
    """Return training and test images `(n, 1, 28, 28)` uint8 with labels int64, 1,540 and 257.

    1,797 digits of 8x8 pixels in 17 shades (Alpaydin and Kaynak, UCI repository, 1998), brought to
    MNIST's frame: scaled to 20x20, in 28x28 with the centre of mass in the middle. The last
    seventh, from other writers than most of the rest, is the test set, as 10,000 of 70,000 are.
    """
    from sklearn import datasets  # a second of import that only this path needs

    x, y = datasets.load_digits(return_X_y=True)
    small = torch.from_numpy(x).float().view(-1, 1, 8, 8) * (255 / 16)
    images = _centre(F.interpolate(small, size=20, mode="bilinear")).round().to(torch.uint8)
    labels = torch.from_numpy(y).long()
    cut = len(labels) - round(len(labels) / 7)
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:])


def _centre(x: Tensor) -> Tensor:
    """Put images (n, 1, 20, 20) into 28x28, moved by whole pixels to centre their mass."""
    place = torch.arange(20.0) - 9.5
    mass = x.sum(dim=(1, 2, 3)).clamp(min=1.0)
    down = ((x.sum(dim=(1, 3)) @ place) / mass).round().long().clamp(-4, 4)
    right = ((x.sum(dim=(1, 2)) @ place) / mass).round().long().clamp(-4, 4)
    frames = x.new_zeros(len(x), 1, 28, 28)
    for frame, image, i, j in zip(frames, x, down.tolist(), right.tolist(), strict=True):
        frame[:, 4 - i : 24 - i, 4 - j : 24 - j] = image
    return frames
