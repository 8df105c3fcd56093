"""Reads images from `train/<class>/*` and `test/<class>/*`, in a folder or a zip file."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.progress import track

from src.data.images import Images
from src.errors import UserError

Files = dict[str, dict[str, list[str]]]  # split -> class -> paths; classes and paths sorted
MODES = {1: "L", 3: "RGB"}
UNREADABLE = (
    OSError, EOFError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_images(path: Path, classes: dict[str, list[str]], size: int, channels: int) -> Images:
    """Return the images of one split, resized to `size` x `size`, and their labels.

    Args:
        path: The folder or zip file.
        classes: The files of each class, as `list_images` gives them for a split.
        size: Pixels of each side.
        channels: 1 for grey, 3 for colour.

    Raises:
        UserError: If a file is not a readable image.
    """
    labelled = [(name, label) for label, names in enumerate(classes.values()) for name in names]
    x = np.empty((len(labelled), size, size, channels), dtype=np.uint8)
    archive = zipfile.ZipFile(path) if path.is_file() else None
    steps = track(labelled, f"Reading {path.name}", transient=True, disable=len(labelled) < 2000)
    for i, (name, _) in enumerate(steps):
        try:
            content = archive.read(name) if archive else (path / name).read_bytes()
            x[i] = _pixels(content, size, channels)
        except UNREADABLE as error:
            raise UserError(
                f"{path / name} is not a readable image: {error}\n"
                "Repair it or take it out of the folder."
            ) from error
    labels = torch.tensor([label for _, label in labelled])
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), labels


def _pixels(content: bytes, size: int, channels: int) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        upright = _eight_bit(ImageOps.exif_transpose(image)).convert(MODES[channels])
        return np.asarray(upright.resize((size, size))).reshape(size, size, channels)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16 bits to 8, which Pillow's own conversion would clip."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))


def list_images(path: Path) -> Files:
    """Return the files of both splits by class, classes in order of their names.

    Raises:
        UserError: If the folder, a split or the images of a class are missing.
    """
    if not path.exists():
        raise UserError(
            f"--data.path {path} does not exist.\n"
            "Give a folder or a zip file that holds train/<class>/* and test/<class>/*."
        )
    files: Files = {"train": {}, "test": {}}
    for name in sorted(_names(path)):
        split, _, rest = name.partition("/")
        label, slash, file = rest.partition("/")
        if split in files and slash and not label.startswith("."):
            listed = files[split].setdefault(label, [])
            if file and "/" not in file and not file.startswith("."):
                listed.append(name)
    _check(path, files)
    return {split: dict(sorted(classes.items())) for split, classes in files.items()}


def _names(path: Path) -> list[str]:
    """Return names relative to the folder or archive; those of folders end in a slash."""
    if path.is_file():
        try:
            return zipfile.ZipFile(path).namelist()
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path} is neither a folder nor a readable zip file: {error}"
            ) from error
    folders = [f"{folder.relative_to(path)}/" for folder in path.glob("*/*") if folder.is_dir()]
    return folders + [str(file.relative_to(path)) for file in path.glob("*/*/*") if file.is_file()]


def _check(path: Path, files: Files) -> None:
    for split, classes in files.items():
        if not classes:
            raise UserError(f"{path} has no {split}/<class>/ folders; expected train and test.")
        for label, names in classes.items():
            if not names:
                raise UserError(
                    f"{path}/{split}/{label} has no images.\nAdd some or remove the folder."
                )
    train, test = sorted(files["train"]), sorted(files["test"])
    if train != test:
        differing = ", ".join(sorted(set(train) ^ set(test)))
        raise UserError(f"{path}: these classes are not in both train and test: {differing}.")
