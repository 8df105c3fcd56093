"""Any images in folders, `train/<class>/*` and `test/<class>/*`, on disk or in a zip file."""

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jsonargparse.typing import PositiveInt
from PIL import Image, ImageOps
from rich.progress import track

from src.data.images import ImageData, Images
from src.errors import UserError

Files = dict[str, dict[str, list[str]]]  # split -> class -> paths, sorted
MODES = {1: "L", 3: "RGB"}
UNREADABLE = (
    OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class ImageFolder(ImageData):
    """Images of any size and mode from `PATH/train/<class>/*` and `PATH/test/<class>/*`.

    The names of the folders are the classes; files and folders that start with a dot are passed
    over. Images are resized to a square and kept in memory as uint8.

    Args:
        path: The folder, or a zip file of it; if it is not there, looked for under `root`.
        size: Pixels of each side after resizing.
        channels: 1 for grey, 3 for colour.
    """

    def __init__(
        self,
        path: str,
        size: PositiveInt = 32,
        channels: Literal[1, 3] = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        here = Path(path).expanduser()
        self.path = here if here.exists() else self.root / path
        self.size, self.channels = size, channels
        self.name = self.path.stem
        self.source = f"images in {self.path}"
        self.files = _listed(self.path)
        self.class_names = sorted(self.files["train"])
        self.num_classes = self.num_outputs = len(self.class_names)
        side = size + 2 * self.pad
        self.input_shape = [channels, side, side]

    def load(self) -> tuple[Images, Images]:
        if not self.path.is_file():
            return self._read("train", self._open_file), self._read("test", self._open_file)
        with zipfile.ZipFile(self.path) as archive:

            def read(name: str) -> io.BytesIO:
                return io.BytesIO(archive.read(name))

            return self._read("train", read), self._read("test", read)

    def _open_file(self, name: str) -> io.BytesIO:
        return io.BytesIO((self.path / name).read_bytes())

    def _read(self, split: str, read: Callable[[str], io.BytesIO]) -> Images:
        classes = enumerate(self.files[split].values())
        labelled = [(name, label) for label, names in classes for name in names]
        x = np.empty((len(labelled), self.size, self.size, self.channels), dtype=np.uint8)
        steps = track(labelled, f"Reading {split}", transient=True, disable=len(labelled) < 2000)
        for i, (name, _) in enumerate(steps):
            x[i] = self._pixels(name, read)
        labels = torch.tensor([label for _, label in labelled])
        return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), labels

    def _pixels(self, name: str, read: Callable[[str], io.BytesIO]) -> np.ndarray:
        try:
            with Image.open(read(name)) as image:
                upright = _eight_bit(ImageOps.exif_transpose(image)).convert(MODES[self.channels])
                pixels = np.asarray(upright.resize((self.size, self.size)))
                return pixels.reshape(self.size, self.size, self.channels)
        except UNREADABLE as error:
            raise UserError(
                f"{self.path / name} is not a readable image: {error}\n"
                "Repair it or take it out of the folder."
            ) from error


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16 bits to 8, which Pillow's own conversion would clip."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))


def _listed(path: Path) -> Files:
    """Return the files of both splits by class.

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
    return files


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
