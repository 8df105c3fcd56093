"""CIFAR-10, read from the official batches or from a zip file of the same images as JPEG."""

import os
import tarfile
from pathlib import Path
from typing import Any

import torch
from torchvision import datasets

from src.data.checks import check_md5, is_file
from src.data.class_folders import list_images
from src.data.download import fetch, temporary_folder
from src.data.image_files import read_images
from src.data.images import ImageData, Images
from src.errors import UserError


class CIFAR10(ImageData):
    """CIFAR-10 (Krizhevsky, 2009): 32x32 colour, 10 classes, 50,000 training, 10,000 test images.

    Reads the first that exists under `root`: the official `cifar-10-batches-py`; `cifar10-jpeg.zip`
    with `train/<class>/*.jpg` and `test/<class>/*.jpg`, whose pixels differ slightly; the official
    `cifar-10-python.tar.gz`, which is unpacked, and downloaded if missing. The md5 sums of official
    files are always verified, because the batches are pickles, which could run code.
    """

    name = "CIFAR10"
    num_classes = num_outputs = 10
    class_names = [
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ]  # fmt: skip

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        side = 32 + 2 * self.pad
        self.input_shape = [3, side, side]
        self.batches = self.root / datasets.CIFAR10.base_folder
        self.jpeg = self.root / "cifar10-jpeg.zip"

    def prepare_data(self) -> None:
        """Download the official batches if there is no data; runs on one process per machine."""
        if self.batches.is_dir() or is_file(self.jpeg):
            return
        packed = self.root / datasets.CIFAR10.filename
        if not is_file(packed):
            self._download(packed)
        check_md5(packed, datasets.CIFAR10.tgz_md5, "Delete the file to download it again.")
        self._unpack(packed)

    def _download(self, packed: Path) -> None:
        try:
            fetch([datasets.CIFAR10.url], datasets.CIFAR10.tgz_md5, packed)
        except UserError as error:
            raise UserError(
                f"CIFAR-10 is not in {self.root}.\nThe download failed: {error}.\nPut {packed.name}"
                " or cifar10-jpeg.zip there, or set its folder with --data.root or DATA_DIR."
            ) from error

    def _unpack(self, packed: Path) -> None:
        try:
            with temporary_folder(self.root) as folder:
                if self.batches.is_dir():  # unpacked by another process meanwhile
                    return
                with tarfile.open(packed) as archive:
                    archive.extractall(folder, filter="data")
                os.replace(folder / self.batches.name, self.batches)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise UserError(f"{packed} cannot be unpacked into {self.root}: {error}") from error

    def load(self) -> tuple[Images, Images]:
        if not self.batches.is_dir():
            self.source = f"JPEG images in {self.jpeg}, recompressed"
            files = list_images(self.jpeg)
            if wrong := set(files["train"]) ^ set(self.class_names):
                raise UserError(
                    f"{self.jpeg} does not have the classes of CIFAR-10.\n"
                    f"Missing or unexpected: {sorted(wrong)}."
                )
            train, test = (read_images(self.jpeg, files[split], 32, 3) for split in files)
            return train, test
        self.source = f"official batches in {self.batches}"
        return self._official(train=True), self._official(train=False)

    def _official(self, train: bool) -> Images:
        try:
            batches = datasets.CIFAR10(self.root, train=train)
        except RuntimeError as error:  # raised before any batch is unpickled
            self._check()
            raise UserError(f"{self.batches} is damaged: {error}") from error
        x = torch.from_numpy(batches.data).permute(0, 3, 1, 2).contiguous()
        return x, torch.tensor(batches.targets)

    def _check(self) -> None:
        """Raise UserError for the first batch that is missing or has a wrong md5 sum."""
        meta = datasets.CIFAR10.meta
        listed = [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list]
        remedy = f"Delete {self.batches} to download it again."
        for name, md5 in [*listed, (meta["filename"], meta["md5"])]:
            if not is_file(self.batches / name):
                raise UserError(f"{self.batches / name} is missing.\n{remedy}")
            check_md5(self.batches / name, md5, remedy)
