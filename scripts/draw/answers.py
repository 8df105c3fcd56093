"""What a run answers to an image: probabilities, what it really sees, and where it looks."""

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

UPLOAD = 20 * 2**20  # bytes of an uploaded file
SHOWN = 560  # pixels of the longer side on the drawing pad
PNG = "data:image/png;base64,"


@dataclass
class Answer:
    """What a run makes of an image.

    Attributes:
        probabilities: Of the classes, `(classes,)`.
        seen: The image in the form of the data set, uint8 `(channels, rows, columns)`.
        fall: By pixel `(rows, columns)`, of the highest probability where the image is hidden.
    """

    probabilities: Tensor
    seen: Tensor
    fall: Tensor


@torch.inference_mode()
def answer(run: Trained, image: Image.Image | None) -> Answer | None:
    """Return what a run makes of an image; None where there is nothing to see."""
    if image is None:
        return None
    seen, pad = run.data.as_example(image), run.data.pad
    if seen.min() == seen.max():
        return None
    x = run.normalised(seen[None])
    probabilities = run.judged(x)[0]
    best = int(probabilities.argmax())
    fall = occlusion(lambda hidden: run.judged(hidden)[:, best], x[0])
    rows, columns = seen.shape[1:]
    return Answer(probabilities, seen, fall[pad : pad + rows, pad : pad + columns])


def opened(content: bytes) -> Image.Image:
    """Return the image in a file.

    Raises:
        UserError: If it is none, an animation or too large.
    """
    if len(content) > UPLOAD:
        raise UserError(
            f"The file has {len(content) / 2**20:.0f} MB, expected {UPLOAD >> 20} MB at most."
        )
    try:
        return decoded(content)
    except Exception as error:  # Pillow's decoders raise whatever goes wrong in them
        raise UserError(f"This file cannot be read as an image: {error}.") from error


def from_url(url: str) -> Image.Image | None:
    """Return the image that a `data:` URL holds; None for the empty one of an empty pad."""
    if not url:
        return None
    return opened(base64.b64decode(url.partition(",")[2]))


def as_url(image: Image.Image) -> str:
    """Return an image as a `data:` URL, no larger than the drawing pad shows it."""
    file, small = BytesIO(), image.copy()
    small.thumbnail((SHOWN, SHOWN))
    small.save(file, "png")
    return PNG + base64.b64encode(file.getvalue()).decode()
