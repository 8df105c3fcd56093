"""Decodes image files to 8-bit pixels."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

FORMATS = ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"]  # Pillow's others may run programs
LARGEST = 2**28  # bytes of a file; about the size of the largest image that Pillow allows


def decoded(content: bytes) -> Image.Image:
    """Return the image in a file in mode L or RGB, rotated as its EXIF data says.

    Raises:
        Exception: Any error of Pillow's decoders; ValueError if it is not an image, is animated or
            has 32 bits per pixel; DecompressionBombWarning or -Error for too many pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # size in the header
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError as error:  # its message is a memory address
            raise ValueError(f"it is none of {', '.join(FORMATS)}") from error
    # An MPO file is a photo followed by previews or a depth map, not an animation.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise ValueError("it has several frames, expected one")
    upright = opaque(_eight_bit(ImageOps.exif_transpose(image)))
    return upright.convert("L" if upright.mode in ("1", "L") else "RGB")


def opaque(image: Image.Image) -> Image.Image:
    """Replace transparency by a white background, or by a black one if the image is light."""
    if not image.has_transparency_data:
        return image
    *_, alpha = layers = image.convert("RGBA").split()
    light = ImageStat.Stat(Image.merge("RGB", layers[:3]).convert("L"), alpha).mean[0] > 127
    ground = Image.new("RGBA", image.size, "black" if light else "white")
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit integers, and floats from 0 to 1, to 8 bits; Pillow's own conversion clips."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode not in ("I", "F"):
        return image
    values = np.asarray(image)
    if image.mode == "I" or not 0 <= values.min() <= values.max() <= 1:
        raise ValueError(f"its pixels have 32 bits (mode {image.mode}), expected 8 or 16")
    return Image.fromarray((255 * values).round().astype(np.uint8))


def resized(image: Image.Image, rows: int, columns: int, channels: int) -> np.ndarray:
    """Return the pixels of a resized image, uint8 `(rows, columns, channels)`, channels 1 or 3."""
    small = image.convert("L" if channels == 1 else "RGB").resize((columns, rows))
    return np.array(small).reshape(rows, columns, channels)
