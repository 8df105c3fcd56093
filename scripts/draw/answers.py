"""Computes a run's prediction for an image, and its occlusion map."""

import base64
from dataclasses import dataclass
from io import BytesIO

import torch
from PIL import Image
from torch import Tensor

from scripts.shared.trained import Trained
from src.data.pixels import decoded
from src.errors import UserError
from src.inference.occlusion import occlusion

UPLOAD = 20 * 2**20  # largest size of an uploaded file, in bytes
MAX_SIDE = 560  # pixels of the longer side of an image on the drawing pad
PNG = "data:image/png;base64,"


@dataclass
class Answer:
    """A run's prediction for an image.

    Attributes:
        probabilities: Probability of each class, `(classes,)`.
        seen: The image in the format of the data set, uint8 `(channels, rows, columns)`.
        fall: Occlusion map `(rows, columns)`: by how much the highest probability falls where the
            image is hidden.
    """

    probabilities: Tensor
    seen: Tensor
    fall: Tensor


@torch.inference_mode()
def answer(run: Trained, image: Image.Image | None) -> Answer | None:
    """Return a run's prediction for an image, or None if there is no image or it is blank."""
    if image is None:
        return None
    seen, pad = run.data.as_example(image), run.data.pad
    if run.data.is_blank(seen):
        return None
    x = run.normalised(seen[None])
    probabilities = run.classified(x)[0]
    best = int(probabilities.argmax())
    fall = occlusion(lambda hidden: run.classified(hidden)[:, best], x[0])
    rows, columns = seen.shape[1:]
    return Answer(probabilities, seen, fall[pad : pad + rows, pad : pad + columns])


def opened(content: bytes) -> Image.Image:
    """Return the image in the content of a file.

    Raises:
        UserError: If it is not an image, is an animation, or is too large.
    """
    if len(content) > UPLOAD:
        raise UserError(
            f"The file has {len(content) / 2**20:.0f} MB, expected {UPLOAD >> 20} MB at most."
        )
    try:
        return decoded(content)
    except Exception as error:  # Pillow's decoders can raise any exception
        raise UserError(f"This file cannot be read as an image: {error}.") from error


def from_url(url: str) -> Image.Image | None:
    """Return the image in a `data:` URL, or None for the empty URL of an empty pad."""
    if not url:
        return None
    return opened(base64.b64decode(url.partition(",")[2]))


def as_url(image: Image.Image) -> str:
    """Return an image as a `data:` URL, scaled down to the size of the drawing pad."""
    file, small = BytesIO(), image.copy()
    small.thumbnail((MAX_SIDE, MAX_SIDE))
    small.save(file, "png")
    return PNG + base64.b64encode(file.getvalue()).decode()
