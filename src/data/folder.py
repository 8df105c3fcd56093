"""Image data sets of the user's own, from class folders or a zip file of them."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from src.data.base import Split
from src.data.checks import shown
from src.data.class_folders import Files, list_images, parts_of
from src.data.image_files import read_images
from src.data.images import ImageData, Images
from src.errors import UserError
from src.ranges import Side


class ImageFolder(ImageData):
    """Images of any size and mode from `PATH/train/<class>/*` and `PATH/test/<class>/*`.

    The folder names are the class names; hidden files and those of file managers are ignored. With
    a folder `val` or `valid` beside them, its images are the validation set, and `val_size` is not
    used. An image that is in two splits is counted, and told in a warning.
    Images are PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM files with one frame, 8 or 16 bits and up to
    89 million pixels; they are resized to a square and kept in memory as uint8.

    Args:
        path: The folder, or a zip file of it; a path that does not exist is looked up in `root`.
        size: Pixels of each side after resizing.
        channels: 1 for grey, 3 for colour.
        class_names: Names of the classes; by default those of the folders. A run that is evaluated
            has those of its training, needs a folder `test` only, and none to predict.

    Raises:
        UserError: If the folder or its images are missing, or unclear.
    """

    def __init__(
        self,
        path: str,
        size: Side = 32,
        channels: Literal[1, 3] = 3,
        class_names: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        here = Path(path).expanduser()
        # Unlike Path.exists, os.access never raises; list_images reports unreadable paths.
        there = self.root / path
        self.path = there if os.access(there, os.F_OK) and not os.access(here, os.F_OK) else here
        self.size, self.channels = size, channels
        self.name = self.path.stem
        self.source = f"images in {self.path}"
        if class_names is not None and (not class_names or len({*class_names}) < len(class_names)):
            raise UserError(
                f"--data.class_names {class_names}: expected one or more names, each once."
            )
        self.known = class_names
        self.class_names = class_names or list(self.files["train"])
        self.num_classes = self.num_outputs = len(self.class_names)
        side = size + 2 * self.pad
        self.input_shape = [channels, side, side]

    @cached_property
    def files(self) -> Files:
        """The files of each split and class."""
        return list_images(self.path, self.known, nested=self.groups is not None)

    @property
    def training_files(self) -> list[tuple[str, ...]]:
        splits = [self.files[split] for split in ("train", "val") if split in self.files]
        return [parts_of(name) for files in splits for names in files.values() for name in names]

    def read(self) -> dict[str, Split]:
        if "train" in self.files:
            return super().read()
        splits = {}  # normalised as in training, by the checkpoint
        for name in self.files:
            x, y = self.images(name)
            limit = self.test_size if name == "test" else None
            self._check_size(f"{name}_size", limit, len(x))
            splits[name] = Split(self.padded(x), y, torch.arange(limit or len(x)))
        return splits

    def setup(self, stage: str) -> None:
        needed = {"fit": ["train"], "validate": ["train", "val"]}.get(stage, ["test"])
        if not any(split in self.files for split in needed):
            raise UserError(
                f"--data.path {shown(self.path)} has {'/, '.join(self.files)}/ only, no images to"
                f" {TrainerFn(stage).value} on.\n"
                f"Give a folder or a zip file with {needed[0]}/<class>/*, too."
            )
        empty = [name for name, files in self.files.get("train", {}).items() if not files]
        if stage == "fit" and empty:
            raise UserError(
                f"--data.class_names {shown(empty[0])}: {shown(self.path)}/train has no images of"
                " it.\nLeave --data.class_names out: classes are the folders of train/."
            )
        super().setup(stage)

    def images(self, split: str) -> Images:
        """Return the images (n, channels, size, size) of a split, and their labels."""
        return read_images(self.path, self.files[split], self.size, self.channels)

    def load(self) -> tuple[Images, Images]:
        splits = {split: self.images(split) for split in self.files}
        train, test, val = splits["train"], splits["test"], splits.get("val")
        warn_of_equal(train[0], test[0], "test")
        if val:
            warn_of_equal(train[0], val[0], "validation")
            self.own_validation = len(val[0])
            train = torch.cat([train[0], val[0]]), torch.cat([train[1], val[1]])
        return train, test


def warn_of_equal(train: Tensor, others: Tensor, split: str) -> None:
    """Warn if images of a split are also training images: its metrics would be too good."""
    known = {image.numpy().tobytes() for image in train}
    count = sum(image.numpy().tobytes() in known for image in others)
    if count:
        rank_zero_warn(
            f"{count:,} of {len(others):,} {split} images are training images, too:"
            " the results are better than on images not seen before."
        )
