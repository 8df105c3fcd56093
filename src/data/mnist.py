"""The MNIST family from its official files, downloaded when missing."""

from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torchvision import datasets

from src.data.digits import load_digits
from src.data.download import fetch
from src.data.idx import read_idx
from src.data.images import ImageData, Images
from src.errors import UserError


class MNIST(ImageData):
    """MNIST (LeCun et al., 1998) or a data set of the same form: 28x28 grey, 10 classes.

    The official files, plain or .gz, lie in `ROOT/NAME/raw`; missing ones are downloaded. 60,000
    images are split into training and validation; the 10,000 test images (QMNIST: 60,000) stay.

    Args:
        name: Which data set.
        source: `auto` goes on with the 1,797 small digits embedded in scikit-learn, and warns,
            where MNIST is neither there nor to be had; `mnist` stops then; `digits` takes them.
    """

    num_classes = num_outputs = 10

    def __init__(
        self,
        name: Literal["MNIST", "FashionMNIST", "KMNIST", "QMNIST"] = "MNIST",
        source: Literal["auto", "mnist", "digits"] = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if source == "digits" and name != "MNIST":
            raise UserError(f"--data.source digits stands in for MNIST, not for {name}.")
        self.name, self.wanted = name, source
        self.folder = self.root / name / "raw"
        self.failure = ""  # why files could not be downloaded
        side = 28 + 2 * self.pad
        self.input_shape = [1, side, side]
        self.class_names = [label.split(" - ")[0] for label in getattr(datasets, name).classes]

    def prepare_data(self) -> None:
        """Download what is missing; runs on one process a machine."""
        if self.wanted == "digits" or self.failure:
            return
        try:
            for urls, md5 in self._resources():
                if self._file(urls) is None:
                    fetch(urls, md5, self.folder / _file_name(urls))
        except UserError as error:
            self.failure = str(error)

    def load(self) -> tuple[Images, Images]:
        files = [self._file(urls) for urls, _ in self._resources()]
        if self.wanted == "digits" or None in files:
            return self._digits()
        self.source = f"official files in {self.folder}"
        x, y, test_x, test_y = files
        return self._pair(x, y), self._pair(test_x, test_y)

    def _resources(self) -> list[tuple[list[str], str]]:
        """Return (urls of the mirrors, md5) of training images, labels, test images, labels."""
        listed, mirrors = getattr(datasets, self.name).resources, getattr(datasets, self.name).mirrors
        if isinstance(listed, dict):  # QMNIST lists whole urls, by split
            listed, mirrors = listed["train"] + listed["test"], [""]
        return [([mirror + file for mirror in mirrors], md5) for file, md5 in listed]

    def _file(self, urls: list[str]) -> Path | None:
        packed = self.folder / _file_name(urls)
        return next((path for path in (packed.with_suffix(""), packed) if path.is_file()), None)

    def _pair(self, image_file: Path, label_file: Path) -> Images:
        x = read_idx(image_file, dimensions=3).unsqueeze(1)
        y = read_idx(label_file, dimensions=2 if self.name == "QMNIST" else 1)
        y = (y[:, 0] if y.ndim == 2 else y).long()
        expected = f"expected {len(x)} labels from 0 to 9, as {image_file.name} has images"
        if len(y) != len(x):
            raise UserError(f"{label_file} has {len(y)} labels, {expected}.")
        if len(y) and not 0 <= int(y.min()) <= int(y.max()) < self.num_classes:
            raise UserError(f"{label_file} has labels {y.min()} to {y.max()}, {expected}.")
        if x.shape[1:] != (1, 28, 28):
            raise UserError(f"{image_file} has images of {tuple(x.shape[2:])}, expected (28, 28).")
        return x, y

    def _digits(self) -> tuple[Images, Images]:
        missing = f"{self.name} is not in {self.folder}" + (f", {self.failure}" * bool(self.failure))
        if self.wanted != "digits":
            if self.wanted == "mnist" or self.name != "MNIST":
                names = ", ".join(_file_name(urls) for urls, _ in self._resources())
                raise UserError(
                    f"{missing}.\nPut {names} there (.gz or not), or say where they are"
                    " with --data.root FOLDER or DATA_DIR."
                )
            rank_zero_warn(
                f"NOT MNIST: {missing}. Going on with the 1,797 digits of scikit-learn."
                " Its figures do not compare with MNIST's; --data.source mnist stops instead."
            )
        self.source = "scikit-learn digits (1,797 real digits of 8x8 pixels; NOT MNIST)"
        train, test = load_digits()
        self.val_size = round(len(train[0]) * self.val_size / 60_000)  # the share it is of MNIST
        self.train_size = self._at_most(self.train_size, len(train[0]) - self.val_size)
        self.test_size = self._at_most(self.test_size, len(test[0]))
        return train, test

    @staticmethod
    def _at_most(asked: int | None, available: int) -> int | None:
        return min(asked, available) if asked else None


def _file_name(urls: list[str]) -> str:
    return urls[0].rsplit("/", 1)[-1]
