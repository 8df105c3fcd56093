"""Loads the user's own image files for prediction by a trained network."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from src.data.base import TensorData
from src.data.checks import is_file, shown
from src.data.images import ImageData, Images
from src.data.loader import BatchLoader
from src.data.pixels import LARGEST, decoded
from src.errors import UserError
from src.progress_bar import with_bar

BATCH = 250
HIDDEN = (".", "Thumbs.db", "desktop.ini")  # files that operating systems create in image folders
UNKNOWN = -1  # label of an image whose class is not known


class OwnImages(LightningDataModule):
    """Image files and folders, preprocessed as in the training of a network.

    Folders are searched recursively, in alphabetical order, without hidden files. Files that cannot
    be read, or show two digits or none, are left out and listed in `skipped`.

    Args:
        paths: The files and folders.
        data: The data module that the network was trained with, which preprocesses the images.

    Raises:
        UserError: If `data` is not a data module of images.
    """

    def __init__(self, paths: Sequence[str], data: TensorData) -> None:
        super().__init__()
        if not isinstance(data, ImageData):
            kind = type(data).__name__
            raise UserError(f"--images {shown(paths[0])} is for runs on images, not on {kind}.")
        self.paths, self.data = paths, data
        self.class_names, self.denormalise = data.class_names, data.denormalise
        self.file_names: list[str] = []  # names of the images that were read, in order
        self.skipped: list[tuple[str, str]] = []  # names of the others, and the errors
        self.trusted_from = data.trusted_from
        self.doubtful: list[str] = []  # names of the images whose prediction is not to be trusted
        self.examples = torch.empty(0)

    def setup(self, stage: str = "predict") -> None:
        """Read the images, at the first call only.

        Raises:
            UserError: If a path does not exist, or no image can be read.
        """
        if len(self.examples):
            return
        found = [file for path in self.paths for file in files_at(Path(path).expanduser())]
        examples = []
        for file in with_bar(found, "Reading images", least=100):
            try:
                examples.append(self._example(file))
                self.file_names.append(shown(file))
            except Exception as error:  # Pillow's decoders raise many types of errors
                self.skipped.append((shown(file), reason(error)))
        if not examples:
            self.report_failures()
            raise UserError(f"--images {' '.join(map(shown, self.paths)):.200} contains no files.")
        self.examples = self.data.padded(torch.stack(examples))

    def report_failures(self) -> None:
        """Print each file that was left out, and why.

        Raises:
            UserError: If there are any, or predictions not to be trusted; it states their numbers.
        """
        for name, why in self.skipped:
            print(f"left out: {name}: {why}", file=sys.stderr)
        failures, total = [], len(self.skipped) + len(self.file_names)
        if self.skipped:
            left_out = f"{len(self.skipped)} of {total} files could not be predicted"
            failures.append(f"{left_out}; they are listed above.")
        if self.doubtful:
            failures.append(
                f"{len(self.doubtful)} of {total} predictions should not be trusted: their"
                f" probability is below {self.trusted_from:.0%}, e.g. {self.doubtful[0]:.60}."
            )
        if failures:
            raise UserError("\n".join(failures))

    def _example(self, file: Path) -> Tensor:
        example = self.data.as_example(decoded(content_of(file)))
        if self.data.is_blank(example):
            what = "no digit found" if self.trusted_from else "it has a single colour"
            raise ValueError(f"{what}: nothing stands out from the background")
        return example

    def predict_dataloader(self) -> BatchLoader:
        count, trainer = len(self.examples), self.trainer
        assert trainer is not None
        labels, order = torch.full((count,), UNKNOWN), torch.arange(count)
        rank, processes = trainer.global_rank, trainer.world_size
        return BatchLoader(self.examples, labels, order, BATCH, rank=rank, world_size=processes)

    def on_after_batch_transfer(self, batch: Images, dataloader_idx: int) -> tuple[Tensor, Tensor]:
        return self.data.on_after_batch_transfer(batch, dataloader_idx)


def files_at(path: Path) -> list[Path]:
    """Return the file at a path, or all files in the folder at that path, recursively.

    Raises:
        UserError: If the path does not exist, or a folder cannot be read.
    """
    if not os.path.lexists(path):
        raise UserError(f"--images {shown(path)} does not exist; expected image files or folders.")
    if not path.is_dir():
        return [path]

    def refuse(error: OSError) -> None:
        raise UserError(f"--images {shown(error.filename)} cannot be read: {error.strerror}.")

    found = []
    for folder, folders, names in os.walk(path, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder, name) for name in sorted(names) if not name.startswith(HIDDEN)]
    return found


def content_of(file: Path) -> bytes:
    """Return the bytes of a regular file that is neither empty nor too large for an image."""
    if not is_file(file):
        raise ValueError("it no longer exists")
    size = file.stat().st_size
    if not 0 < size <= LARGEST:
        raise ValueError(f"it has {size:,} bytes, expected an image of up to {LARGEST:,}")
    return file.read_bytes()


def reason(error: Exception) -> str:
    """Return an error as one line of text."""
    return shown(str(error).partition("\n")[0] or type(error).__name__)
