"""Images of unusual kinds against the values of numpy: depths, transparency, damaged extras."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.data.pixels import decoded

GREY, COLOUR = 0, 2  # colour types of PNG
TURN = 6  # EXIF orientation: turn a quarter to the right
RAMP = np.linspace(0, 65535, 12).round().astype(np.uint16).reshape(3, 4)


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(values: np.ndarray, bits: int, kind: int = GREY, extra: bytes = b"") -> bytes:
    """Return a PNG file of pixels (rows, columns[, 3]), with further chunks before the pixels."""
    height, width = values.shape[:2]
    if bits < 8:
        places = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
        rows = [np.packbits(row).tobytes() for row in places.reshape(height, -1)]
    else:
        rows = [row.astype(f">u{bits // 8}").tobytes() for row in values]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff(values: np.ndarray, photometric: int, bits: int = 0, **tags: int) -> bytes:
    """Return a TIFF file of one channel; photometric 0 means that white is zero."""
    content = values.tobytes()
    height, width = values.shape
    width = width * 8 // bits if bits else width
    number = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    entries = {256: width, 257: height, 258: bits or 8 * values.itemsize, 259: 1, 262: photometric,
               273: 8, 277: 1, 278: height, 279: len(content), 339: number}  # fmt: skip
    entries |= {274: tags.get("orientation", 1)}
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in sorted(entries.items()))
    directory = struct.pack("<H", len(entries)) + listed + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(content)) + content + directory


def saved(image: Image.Image, kind: str, **kwargs: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **kwargs)
    return file.getvalue()


def read(content: bytes) -> np.ndarray:
    return np.asarray(decoded(content))


def on_ground(colours: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return colours with transparent pixels in white, or in black if the others are light."""
    ground = 0 if colours[visible].mean() > 127 else 255
    return np.where(visible, colours, ground)


@pytest.mark.parametrize("highest", [256, 1000, 4095, 65535])
@pytest.mark.parametrize("text", [False, True])
def test_pgm_of_16_bits_is_scaled_by_its_highest_value(highest: int, text: bool) -> None:
    values = np.array([[0, 1, highest // 3], [highest // 2, highest - 1, highest]])
    body = " ".join(map(str, values.flat)).encode() if text else values.astype(">u2").tobytes()
    grey = read(b"P%d 3 2 %d\n" % (2 if text else 5, highest) + body)
    np.testing.assert_allclose(grey, values * 255 / highest, atol=1)


def test_ppm_of_16_bits_is_scaled() -> None:
    content = (
        b"P6 4 3 65535\n" + np.dstack([RAMP, RAMP.T.reshape(3, 4), RAMP]).astype(">u2").tobytes()
    )
    np.testing.assert_allclose(read(content)[..., 0], RAMP / 257, atol=1)


@pytest.mark.parametrize("photometric", [0, 1], ids=["white is zero", "black is zero"])
@pytest.mark.parametrize("kind", ["u1", "<u2", "<f4"])
@pytest.mark.parametrize("orientation", [1, TURN])
def test_tiff_is_read_with_its_meaning_of_zero(
    photometric: int, kind: str, orientation: int
) -> None:
    share = RAMP / 65535
    values = (share * {"u1": 255, "<u2": 65535, "<f4": 1}[kind]).astype(kind)
    expected = 255 * (share if photometric else 1 - share)
    expected = np.rot90(expected, -1) if orientation == TURN else expected
    np.testing.assert_allclose(
        read(tiff(values, photometric, orientation=orientation)), expected, atol=1
    )


def test_tiff_of_12_bits_is_scaled() -> None:
    packed = np.array([[0x00, 0x07, 0xFF], [0xFF, 0xF0, 0x10]], dtype=np.uint8)  # 0 2047 4095 16
    expected = np.array([[0, 2047], [4095, 16]]) / 4095 * 255
    np.testing.assert_allclose(read(tiff(packed, 1, bits=12)), expected, atol=1)


@pytest.mark.parametrize("kind", ["<u4", "<i2"])
def test_other_tiff_numbers_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="expected 8 or 16"):
        decoded(tiff(RAMP.astype(kind), 1))


@pytest.mark.parametrize("values", [[[0, 2.0]], [[-0.5, 1]], [[np.nan, 0]]])
def test_floats_outside_0_to_1_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="mode F"):
        decoded(tiff(np.array(values, "<f4"), 1))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("place", [0, -1], ids=["black is transparent", "white is transparent"])
def test_grey_png_of_any_depth_has_its_transparent_colour(bits: int, place: int) -> None:
    highest = 2**bits - 1
    values = np.linspace(0, highest, 16).round().astype(np.uint16).reshape(4, 4)
    clear = int(values.flat[place])
    content = png(values, bits, extra=chunk(b"tRNS", struct.pack(">H", clear)))
    expected = on_ground(values * (255 / highest), values != clear)
    grey = read(content)
    np.testing.assert_allclose(grey if grey.ndim == 2 else grey[..., 1], expected, atol=1)


@pytest.mark.parametrize("bits", [8, 16])
def test_colour_png_of_any_depth_has_its_transparent_colour(bits: int) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (6, 6, 3))
    visible = np.ones((6, 6), dtype=bool)
    visible[2, 3] = False
    content = png(values, bits, COLOUR, chunk(b"tRNS", struct.pack(">HHH", *values[2, 3].tolist())))
    expected = on_ground(values * 255 / (2**bits - 1), visible[..., None].repeat(3, axis=2))
    np.testing.assert_allclose(read(content), expected, atol=1)


def test_a_palette_has_its_transparent_colours() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8))
    image.putpalette([200, 0, 0, 10, 20, 30, 40, 50, 60])
    content = saved(image.convert("P"), "PNG", transparency=b"\x00\xff\x80")
    half = np.array([40, 50, 60]) * 0x80 / 255 + 255 * (1 - 0x80 / 255)
    np.testing.assert_allclose(read(content)[0], [[255] * 3, [10, 20, 30], half], atol=1)


def test_alpha_is_blended_with_the_ground() -> None:
    layers = np.random.default_rng(1).integers(0, 100, (5, 5, 4), dtype=np.uint8)
    alpha = layers[..., 3:] / 255
    expected = layers[..., :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(read(saved(Image.fromarray(layers), "PNG")), expected, atol=1)


def test_a_cmyk_jpeg_has_the_colours_that_it_prints() -> None:
    cyan, none = np.full((16, 16), 255, np.uint8), np.zeros((16, 16), np.uint8)
    ink = Image.merge("CMYK", [Image.fromarray(layer) for layer in (cyan, none, none, none)])
    colours = read(saved(ink, "JPEG", quality=100))
    np.testing.assert_allclose(colours, np.broadcast_to([0, 255, 255], (16, 16, 3)), atol=3)


def test_one_bit_is_black_or_white() -> None:
    bits = np.array([[True, False], [False, True]])
    for kind in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(read(saved(Image.fromarray(bits), kind)), bits * 255)


@pytest.mark.parametrize("exif", [b"rubbish", b"MM\0*", b"II*\0\x08\0\0\0\xff\xff", b""])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_broken_exif_data_does_not_cost_the_image(exif: bytes, kind: str) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    plain = read(saved(image, kind, lossless=True))
    np.testing.assert_array_equal(read(saved(image, kind, lossless=True, exif=exif)), plain)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_data_says(orientation: int) -> None:
    flipped, turns = orientation in (2, 4, 5, 7), {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(stored), "PNG", exif=exif.tobytes())
    expected = np.rot90(stored[:, ::-1] if flipped else stored, turns.get(orientation, 0))
    np.testing.assert_array_equal(read(content), expected)


LARGE = zlib.compress(b"a" * 2**21)  # more than Pillow allows, in 2 kB


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"note\0\0" + LARGE),
        chunk(b"iTXt", b"note\0\1\0\0\0" + LARGE),
        chunk(b"tEXt", b"note\0" + b"a" * 2**21),
        chunk(b"iCCP", b"note\0\0" + LARGE),
        chunk(b"zTXt", b"note\0\0" + LARGE) * 80,
    ],
    ids=["zTXt", "iTXt", "tEXt", "iCCP", "80 texts"],
)
def test_large_texts_do_not_cost_the_image(extra: bytes) -> None:
    values = RAMP // 257
    content = png(values, 8, extra=extra)
    np.testing.assert_array_equal(read(content), values)
    end = content.index(b"IDAT") - 4
    after = content[: end - len(extra)] + content[end:-12] + extra + content[-12:]
    np.testing.assert_array_equal(read(after), values)
