"""Printed letters in MNIST's frame, which a network for digits should not be sure about.

They replace EMNIST's handwritten letters, which would be a download: the fonts come with
Matplotlib.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from src.data.digit_frame import SIDE, digit_frame

LETTERS = "ACEFHKLMNPRTUVWXYadefhmnrty"  # the others look like digits, or like one of these
STYLES = ("", "-Bold", "-Oblique", "-BoldOblique")
SERIF = ("", "-Bold", "-Italic", "-BoldItalic")
FACES = (*(f"DejaVuSans{style}" for style in STYLES), *(f"DejaVuSansMono{s}" for s in STYLES),
         *(f"DejaVuSerif{style}" for style in SERIF))  # fmt: skip
HEIGHT = 60  # pixels of the type


def printed_letters() -> Tensor:
    """Return every letter in every face, uint8 `(n, 1, 28, 28)`, light on black as in MNIST."""
    frames = [_letter(letter, face) for face in FACES for letter in LETTERS]
    return torch.from_numpy(np.stack(frames)).view(-1, 1, SIDE, SIDE)


def _letter(letter: str, face: str) -> np.ndarray:
    font = ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", f"{face}.ttf"), HEIGHT)
    paper = Image.new("L", (2 * HEIGHT, 2 * HEIGHT), 255)
    ImageDraw.Draw(paper).text((HEIGHT, HEIGHT), letter, fill=0, font=font, anchor="mm")
    return digit_frame(paper)
