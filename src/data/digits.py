"""The small digits of scikit-learn, which replace MNIST where there are no files and no network."""

import torch
import torch.nn.functional as F
from torch import Tensor

from src.data.images import Images


def load_digits() -> tuple[Images, Images]:
    """Return 1,540 training and 257 test images, uint8 `(n, 1, 28, 28)`, with int64 labels.

    The 1,797 digits of 8x8 pixels in 17 grey levels (Alpaydin and Kaynak, UCI repository, 1998)
    are preprocessed as in MNIST: scaled to 20x20, and placed in 28x28 with the centre of mass in
    the middle. The last seventh, by other writers than most of the rest, is the test set; MNIST's
    is a seventh, too.
    """
    from sklearn import datasets  # takes a second, and only this function needs it

    x, y = datasets.load_digits(return_X_y=True)
    small = torch.from_numpy(x).float().view(-1, 1, 8, 8) * (255 / 16)
    images = _centre(F.interpolate(small, size=20, mode="bilinear")).round().to(torch.uint8)
    labels = torch.from_numpy(y).long()
    cut = len(labels) - round(len(labels) / 7)
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:])


def _centre(x: Tensor) -> Tensor:
    """Pad images (n, 1, 20, 20) to 28x28, shifted by whole pixels to centre their mass."""
    place = torch.arange(20.0) - 9.5
    mass = x.sum(dim=(1, 2, 3)).clamp(min=1.0)
    down = ((x.sum(dim=(1, 3)) @ place) / mass).round().long().clamp(-4, 4)
    right = ((x.sum(dim=(1, 2)) @ place) / mass).round().long().clamp(-4, 4)
    frames = x.new_zeros(len(x), 1, 28, 28)
    for frame, image, i, j in zip(frames, x, down.tolist(), right.tolist(), strict=True):
        frame[:, 4 - i : 24 - i, 4 - j : 24 - j] = image
    return frames
