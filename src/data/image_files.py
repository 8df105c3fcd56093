"""Reads images from `train/<class>/*` and `test/<class>/*`, in a folder or a zip file."""

import zipfile
from pathlib import Path

import numpy as np
import torch

from src.data.checks import is_file, shown
from src.data.images import Images
from src.data.pixels import LARGEST, decoded, resized
from src.errors import UserError
from src.progress_bar import with_bar

Files = dict[str, dict[str, list[str]]]  # split -> class -> paths; classes and paths sorted
SPLITS = ("train", "test")


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


def list_images(path: Path) -> Files:
    """Return the image files of both splits by class, sorted by class name.

    Raises:
        UserError: If the folder, a split or the images of a class are missing.
    """
    files: Files = {split: {} for split in SPLITS}
    try:
        names = sorted(_names(path))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        found = "does not exist" if missing else f"cannot be read ({error.strerror})"
        raise UserError(
            f"--data.path {shown(path)} {found}.\n"
            "Give a folder or a zip file with train/<class>/* and test/<class>/*."
        ) from error
    for name in names:
        split, _, rest = name.partition("/")
        label, slash, file = rest.partition("/")
        if split in files and slash and not label.startswith("."):
            listed = files[split].setdefault(label, [])
            if file and "/" not in file and not file.startswith("."):
                listed.append(name)
    _check(path, files)
    return {split: dict(sorted(classes.items())) for split, classes in files.items()}


def _names(path: Path) -> list[str]:
    """Return names relative to the folder or archive; folder names end in a slash."""
    path.stat()  # raises if the path does not exist, which would look like an empty folder
    if path.is_file():
        try:
            return zipfile.ZipFile(path).namelist()
        except Exception as error:  # for damaged files, zipfile raises exceptions of any type
            raise UserError(
                f"{shown(path)} is neither a folder nor a readable zip file: {shown(error)}"
            ) from error
    found = [entry for split in SPLITS for entry in path.glob(f"{split}/[!.]*/[!.]*")]
    files = [entry for entry in found if not entry.is_dir() and is_file(entry)]
    folders = [f"{folder.relative_to(path)}/" for folder in path.glob("*/*") if folder.is_dir()]
    return folders + [str(file.relative_to(path)) for file in files]


def _check(path: Path, files: Files) -> None:
    for split, classes in files.items():
        if not classes:
            raise UserError(f"{path} has no {split}/<class>/ folders; expected train and test.")
        for label, names in classes.items():
            if not label.isprintable():
                raise UserError(
                    f"{path}/{split} has a class named {shown(label)}, which is not printable.\n"
                    "Rename the folder: class names appear in tables and figures."
                )
            if not names:
                raise UserError(
                    f"{path}/{split}/{label} has no images.\nAdd some or remove the folder."
                )
    train, test = sorted(files["train"]), sorted(files["test"])
    if train != test:
        differing = ", ".join(sorted(set(train) ^ set(test)))
        raise UserError(f"{path}: these classes are not in both train and test: {differing}.")
