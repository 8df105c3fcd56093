"""Images of the user's own, to be predicted by a network that was trained on others."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule
from rich.progress import track
from torch import Tensor

from src.data.base import TensorData
from src.data.checks import is_file, shown
from src.data.images import ImageData, Images
from src.data.loader import BatchLoader
from src.data.pixels import LARGEST, decoded
from src.errors import UserError

BATCH = 250
HIDDEN = (".", "Thumbs.db", "desktop.ini")  # what systems leave in folders of images
UNKNOWN = -1  # the label of an image that nobody has told


class OwnImages(LightningDataModule):
    """Image files and folders of them, brought into the form that a network was trained on.

    Folders are searched to the bottom, in order of names; hidden files are passed over. What
    cannot be read is left out and listed in `skipped`.

    Args:
        paths: The files and folders.
        data: The data module that the network was trained with; says how images become examples.

    Raises:
        UserError: If that was not trained on images.
    """

    def __init__(self, paths: Sequence[str], data: TensorData) -> None:
        super().__init__()
        if not isinstance(data, ImageData):
            kind = type(data).__name__
            raise UserError(f"--images {shown(paths[0])} is for runs on images, not on {kind}.")
        self.paths, self.data = paths, data
        self.class_names, self.denormalise = data.class_names, data.denormalise
        self.file_names: list[str] = []  # names of the images that were read, in order
        self.skipped: list[tuple[str, str]] = []  # names of the others, and what is wrong
        self.examples = torch.empty(0)

    def setup(self, stage: str = "predict") -> None:
        """Read the images, once.

        Raises:
            UserError: If a path is not there, or there is no image that can be read.
        """
        if len(self.examples):
            return
        found = [file for path in self.paths for file in files_at(Path(path).expanduser())]
        examples = []
        for file in track(found, "Reading images", transient=True, disable=len(found) < 100):
            try:
                examples.append(self._example(file))
                self.file_names.append(shown(file))
            except Exception as error:  # Pillow's decoders raise whatever goes wrong in them
                self.skipped.append((shown(file), reason(error)))
        if not examples:
            self.tell_skipped()
            raise UserError(f"--images {' '.join(map(shown, self.paths)):.200} holds no file.")
        self.examples = self.data.padded(torch.stack(examples))

    def tell_skipped(self) -> None:
        """Name what was left out, each in a line.

        Raises:
            UserError: With their number, if there are any.
        """
        for name, why in self.skipped:
            print(f"left out: {name}: {why}", file=sys.stderr)
        if self.skipped:
            count, total = len(self.skipped), len(self.skipped) + len(self.file_names)
            raise UserError(
                f"{count} of {total} files could not be predicted; they are named above."
            )

    def _example(self, file: Path) -> Tensor:
        example = self.data.as_example(decoded(content_of(file)))
        if example.min() == example.max():
            raise ValueError("it is empty: nothing stands out from its ground")
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
    """Return the file that is there, or the files in that folder and below.

    Raises:
        UserError: If nothing is there, or a folder cannot be read.
    """
    if not os.path.lexists(path):
        raise UserError(f"--images {shown(path)} is not there; expected image files or folders.")
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
    """Return what is in a file, if it is one, has something in it, and is no larger than images."""
    if not is_file(file):
        raise ValueError("it is gone")
    size = file.stat().st_size
    if not 0 < size <= LARGEST:
        raise ValueError(f"it has {size:,} bytes, expected an image of up to {LARGEST:,}")
    return file.read_bytes()


def reason(error: Exception) -> str:
    """Return what is wrong with a file, in a line."""
    return shown(str(error).partition("\n")[0] or type(error).__name__)
