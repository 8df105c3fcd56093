"""Reads the images of a split from a folder or a zip file."""

import zipfile
from pathlib import Path

import numpy as np
import torch

from src.data.checks import shown
from src.data.images import Images
from src.data.pixels import LARGEST, decoded, resized
from src.errors import UserError
from src.progress_bar import with_bar


def read_images(path: Path, classes: dict[str, list[str]], size: int, channels: int) -> Images:
    """Return the images of one split, resized to `size` x `size`, and their labels.

    Args:
        path: The folder or zip file.
        classes: The files of each class, as returned by `list_images` for a split.
        size: Pixels of each side.
        channels: 1 for grey, 3 for colour.

    Raises:
        UserError: If a file is not a readable image, is an animation, or has too many pixels.
    """
    labelled = [(name, label) for label, names in enumerate(classes.values()) for name in names]
    x = np.empty((len(labelled), size, size, channels), dtype=np.uint8)
    archive = zipfile.ZipFile(path) if path.is_file() else None
    steps = with_bar(labelled, f"Reading {path.name}", least=2000)
    for i, (name, _) in enumerate(steps):
        try:
            x[i] = resized(decoded(_content(path, archive, name)), size, size, channels)
        except Exception as error:  # Pillow's decoders raise exceptions of any type
            raise UserError(
                f"{shown(path / name)} is not a readable image: {shown(error)}\n"
                "Repair or remove it."
            ) from error
    labels = torch.tensor([label for _, label in labelled])
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), labels


def _content(path: Path, archive: zipfile.ZipFile | None, name: str) -> bytes:
    size = archive.getinfo(name).file_size if archive else (path / name).stat().st_size
    if size > LARGEST:
        raise ValueError(f"it has {size} bytes, expected at most {LARGEST}")
    with archive.open(name) if archive else (path / name).open("rb") as file:
        return file.read(size)  # without a size, zipfile would unpack all of a zip bomb
