"""Decodes image files to 8-bit pixels."""

import io
import struct
import warnings

import numpy as np
from PIL import Image, ImageFile, ImageOps, ImageStat, UnidentifiedImageError

FORMATS = ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"]  # Pillow's others may run programs
PNG = b"\x89PNG\r\n\x1a\n"  # the first bytes of a PNG file
BITS, PHOTOMETRIC = 258, 262  # TIFF tags: bits per pixel; whether white or black is zero
LARGEST = 2**28  # bytes of a file; about the size of the largest image that Pillow allows


def decoded(content: bytes) -> Image.Image:
    """Return the image in a file in mode L or RGB, rotated as its EXIF data says.

    Raises:
        Exception: Any error of Pillow's decoders; ValueError if it is not an image, is animated or
            has 32 bits per pixel; DecompressionBombWarning or -Error for too many pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's, about EXIF data that is cut
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # size in the header
        image = _opened(content)
        # An MPO file is a photo followed by previews or a depth map, not an animation.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise ValueError("it has several frames, expected one")
        visible = opaque(_eight_bit(image, _upright(image)))
    return visible.convert("L" if visible.mode in ("1", "L") else "RGB")


def _opened(content: bytes) -> ImageFile.ImageFile:
    is_png = content.startswith(PNG)
    try:
        image = Image.open(io.BytesIO(_bare(content) if is_png else content), formats=FORMATS)
    except UnidentifiedImageError as error:  # its message is a memory address
        raise ValueError(f"it is none of {', '.join(FORMATS)}") from error
    colour, bits = image.info.get("transparency"), content[24] if is_png else 8
    if image.mode == "L" and bits < 8 and colour is not None:  # Pillow scales the pixels only
        image.info["transparency"] = colour * 255 // (2**bits - 1)
    if image.mode == "RGB" and bits == 16 and colour is not None:
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    return image


def _bare(png: bytes) -> bytes:
    """Leave out texts and colour profile of a PNG file: Pillow refuses images with large ones."""
    kept, place = [PNG], len(PNG)
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4])
        if png[place + 4 : place + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(png[place:end])
        place = end
    return b"".join(kept)


def _upright(image: Image.Image) -> Image.Image:
    """Rotate an image as its EXIF data says; leave it as it is if that cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, struct.error):  # Pillow's, for broken EXIF data
        return image


def opaque(image: Image.Image) -> Image.Image:
    """Replace transparency by a white background, or by a black one if the image is light."""
    if not image.has_transparency_data:
        return image
    *_, alpha = layers = image.convert("RGBA").split()
    light = ImageStat.Stat(Image.merge("RGB", layers[:3]).convert("L"), alpha).mean[0] > 127
    ground = Image.new("RGBA", image.size, "black" if light else "white")
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def _eight_bit(image: ImageFile.ImageFile, upright: Image.Image) -> Image.Image:
    """Scale 16-bit integers, and floats from 0 to 1, to 8 bits; Pillow's own conversion clips.

    Args:
        image: As opened, with the data of its file.
        upright: The same image, rotated.
    """
    if upright.mode not in ("I", "F") and not upright.mode.startswith("I;16"):
        return upright
    values, tags = np.asarray(upright), getattr(image, "tag_v2", {})  # TIFF has tags
    if upright.mode == "F" and 0 <= values.min() <= values.max() <= 1:
        grey = (255 * values).round()
    elif upright.mode.startswith("I;16") or image.format == "PPM":
        grey = values // (16 if tags.get(BITS) == (12,) else 257)
    else:
        raise ValueError(f"its pixels have 32 bits (mode {upright.mode}), expected 8 or 16")
    if tags.get(PHOTOMETRIC) == 0:  # white is zero; Pillow inverts images of up to 8 bits only
        grey = 255 - grey
    eight = Image.fromarray(grey.astype(np.uint8))
    if (clear := upright.info.get("transparency")) is not None:
        eight = Image.merge("LA", [eight, Image.fromarray(values != clear).convert("L")])
    return eight


def resized(image: Image.Image, rows: int, columns: int, channels: int) -> np.ndarray:
    """Return the pixels of a resized image, uint8 `(rows, columns, channels)`, channels 1 or 3."""
    small = image.convert("L" if channels == 1 else "RGB").resize((columns, rows))
    return np.array(small).reshape(rows, columns, channels)
