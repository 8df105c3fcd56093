"""The MNIST family from its official files, downloaded when missing."""

from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_warn
from PIL import Image
from torch import Tensor
from torchvision import datasets

from src.data.checks import is_file
from src.data.digit_frame import digit_frame
from src.data.digits import load_digits
from src.data.download import fetch
from src.data.idx import read_idx
from src.data.images import ImageData, Images
from src.errors import UserError

# Least probability of a trustworthy prediction for a photograph; measured in scripts/README.md.
TRUSTED = 0.9

# Published md5 sums of unpacked files; torchvision lists those of the .gz files.
UNPACKED = {
    "MNIST": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
}


class MNIST(ImageData):
    """MNIST (LeCun et al., 1998) or a data set of the same format: 28x28 grey, 10 classes.

    The official files, plain or .gz, are read from `ROOT/NAME/raw`; missing ones are downloaded.
    60,000 images are split into training and validation; the test set is the official one (10,000
    images; QMNIST: 60,000).

    Args:
        name: Which data set.
        source: What to do if MNIST is missing and cannot be downloaded: `auto` warns and uses the
            1,797 small digits of scikit-learn, `mnist` stops. `digits` always uses those.
        verify: Refuse files whose md5 sum differs from the published one, which is known for MNIST
            and for the .gz files of all four. False also reads files of your own.
    """

    num_classes = num_outputs = 10

    def __init__(
        self,
        name: Literal["MNIST", "FashionMNIST", "KMNIST", "QMNIST"] = "MNIST",
        source: Literal["auto", "mnist", "digits"] = "auto",
        verify: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if source == "digits" and name != "MNIST":
            raise UserError(f"--data.source digits replaces MNIST only, not {name}.")
        self.name, self.wanted, self.verify = name, source, verify
        self.folder = self.root / name / "raw"
        self.failure = ""  # why the download failed
        self.digits = name in ("MNIST", "QMNIST")
        self.trusted_from = TRUSTED if self.digits else 0.0
        self.family = getattr(datasets, name)  # torchvision's list of files, mirrors and classes
        self.class_names = [label.split(" - ")[0] for label in self.family.classes]
        side = 28 + 2 * self.pad
        self.input_shape = [1, side, side]

    def prepare_data(self) -> None:
        """Download missing files; runs on one process of each machine."""
        if self.wanted == "digits" or self.failure:
            return
        try:
            for urls, md5 in self._resources():
                if not self._found(urls):
                    fetch(urls, md5, self.folder / _file_name(urls))
        except UserError as error:
            self.failure = f"{error}"

    def load(self) -> tuple[Images, Images]:
        if self.wanted == "digits":
            return self._stand_in()
        files = [path for urls, _ in self._resources() for path in self._found(urls)[:1]]
        if len(files) < 4:
            return self._stand_in()
        self.source = f"official files in {self.folder}"
        return self._read(*files[:2]), self._read(*files[2:])

    def as_example(self, image: Image.Image) -> Tensor:
        """Return any image in the format of the data set, uint8 (1, 28, 28), light on black.

        Digits are found, fit 20x20 and are centred by mass; FashionMNIST and KMNIST fill 28x28.

        Raises:
            NotOneDigit: If several digits are found.
        """
        frame = digit_frame(image) if self.digits else digit_frame(image, box=28, by_mass=False)
        return torch.from_numpy(frame)[None]

    def is_blank(self, example: Tensor) -> bool:
        return bool(example.min() == example.max())

    def _resources(self) -> list[tuple[list[str], str]]:
        """Return (urls, md5) of training images and labels, then of test images and labels."""
        listed, mirrors = self.family.resources, self.family.mirrors
        if isinstance(listed, dict):  # QMNIST lists whole urls, by split
            listed, mirrors = listed["train"] + listed["test"], [""]
        return [([mirror + file for mirror in mirrors], md5) for file, md5 in listed]

    def _found(self, urls: list[str]) -> list[Path]:
        """Return the existing files, plain and .gz; refuse a path that is not a file."""
        packed = self.folder / _file_name(urls)
        return [path for path in (packed.with_suffix(""), packed) if is_file(path)]

    def _published(self, path: Path) -> str | None:
        """Return the md5 sum that a file must have; None if any is allowed."""
        packed = {_file_name(urls): md5 for urls, md5 in self._resources()}
        known = packed | UNPACKED.get(str(self.name), {})
        return known.get(path.name) if self.verify else None

    def _read(self, image_file: Path, label_file: Path) -> Images:
        """Return the images and labels of two files that belong together."""
        x = read_idx(image_file, 3, self._published(image_file)).unsqueeze(1)
        y = read_idx(label_file, 2 if self.name == "QMNIST" else 1, self._published(label_file))
        y = (y[:, 0] if y.ndim == 2 else y).long()  # QMNIST stores more than the class in a row
        if x.shape[1:] != (1, 28, 28):
            raise UserError(f"{image_file} has images of {tuple(x.shape[2:])}, expected (28, 28).")
        expected = f"expected {len(x)} from 0 to 9, for the images of {image_file.name}"
        if len(y) != len(x):
            raise UserError(f"{label_file} has {len(y)} labels, {expected}.")
        if len(y) and not 0 <= int(y.min()) <= int(y.max()) < self.num_classes:
            raise UserError(f"{label_file} has labels {y.min()} to {y.max()}, {expected}.")
        return x, y

    def _stand_in(self) -> tuple[Images, Images]:
        """Return scikit-learn's digits if requested or allowed; warn if they replace MNIST."""
        if self.wanted == "mnist" or self.name != "MNIST":
            names = ", ".join(_file_name(urls) for urls, _ in self._resources())
            tried = f"The download failed: {self.failure}.\n" if self.failure else ""
            raise UserError(
                f"{self.name} is not in {self.folder}.\n{tried}Put {names} there (.gz or not),"
                " or say where they are with --data.root FOLDER or DATA_DIR."
            )
        if self.wanted == "auto":
            rank_zero_warn(
                f"NOT MNIST: it is not in {self.folder}. Using the 1,797 small digits of"
                " scikit-learn,\nwhose results do not compare with MNIST's."
                f" To stop instead, give --data.source mnist.\n{self.failure}".rstrip()
            )
        self.name = "digits, NOT MNIST"
        self.source = "scikit-learn digits (1,797 real digits of 8x8 pixels; NOT MNIST)"
        train, test = load_digits()
        # The validation set gets its share of MNIST; no split is larger than the data.
        self.val_size = max(1, round(len(train[0]) * min(self.val_size / 60_000, 0.9)))
        if self.train_size:
            self.train_size = min(self.train_size, len(train[0]) - self.val_size)
        self.test_size = min(self.test_size or len(test[0]), len(test[0]))
        return train, test


def _file_name(urls: list[str]) -> str:
    return urls[0].rsplit("/", 1)[-1]
