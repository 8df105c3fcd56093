"""Base class of the image data sets: validation split, normalisation and augmentation."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from PIL import Image
from torch import Tensor

from src.data.augment import Augment
from src.data.base import Split, TensorData
from src.data.folds import parts
from src.data.groups import Files, groups_of
from src.data.loader import mixed
from src.data.pixels import resized
from src.data.shared import once
from src.errors import UserError
from src.ranges import Folds, Padding, Seed

AUGMENT = 1  # part of the seed: augmentation and shuffling use different random numbers
Images = tuple[Tensor, Tensor]  # uint8 (n, channels, rows, columns) and int64 labels (n,)


class ImageData(TensorData):
    """Images held in memory as uint8; a subclass loads the official training and test sets.

    The validation split is taken from the training set, with its own seed. Each batch is converted
    to float32 on the device, augmented in training, and normalised by the mean and standard
    deviation of each channel over the training images.

    Args:
        root: Folder of the data sets; by default the environment variable DATA_DIR, else `data`.
        val_size: Number of training images held out for validation.
        split_seed: Seed that selects the held-out images; independent of the training seed.
        folds: For cross-validation: divide the training set into so many parts, with equal shares
            of the classes, of which one is held out for validation instead of `val_size` images.
        fold: The part that is held out, from 0.
        groups: Never divide a group, e.g. the images by one writer: FILE.csv with a column `group`,
            for image folders also `folder` or a pattern of file names, as `'(writer[0-9]+)_'`.
        train_size: Number of training images to use; by default all that are not held out.
        test_size: Number of test images to use, the first ones; by default all.
        pad: Black pixels to add on each side, e.g. 2 to pad MNIST to the 32x32 of LeNet.
        augment: Random augmentation of the training images; none by default.
        batch_size: Number of images per batch, on each process.
        seed: Seed of shuffling and augmentation; the CLI passes `seed_everything`.
    """

    num_classes: int
    class_names: list[str]
    trusted_from = 0.0  # least probability of a trustworthy prediction for an own image
    own_validation = 0  # images at the end of the training set that are the validation set

    def __init__(
        self,
        root: str | None = None,
        val_size: PositiveInt = 5000,
        split_seed: Seed = 0,
        folds: Folds | None = None,
        fold: NonNegativeInt | None = None,
        groups: str | None = None,
        train_size: PositiveInt | None = None,
        test_size: PositiveInt | None = None,
        pad: Padding = 0,
        augment: Augment | None = None,
        batch_size: PositiveInt = 100,
        seed: Seed = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        if augment and isinstance(self.hparams["augment"], Augment):
            self.save_hyperparameters({"augment": asdict(augment)})  # plain values in checkpoints
        self.root = Path(root or os.environ.get("DATA_DIR") or "data").expanduser()
        self.val_size, self.split_seed = val_size, split_seed
        self.folds, self.fold, self.groups = folds, fold, groups
        self.train_size, self.test_size, self.pad = train_size, test_size, pad
        self.augment = augment or Augment()
        self._memory = torch.empty(0)  # of batches that are prepared together

    def load(self) -> tuple[Images, Images]:
        """Return the images and labels of the official training and test sets.

        Raises:
            UserError: If a file is missing or damaged.
        """
        raise NotImplementedError

    def read(self) -> dict[str, Split]:
        _check_fold(self.folds, self.fold, self.groups)
        (x, y), (test_x, test_y) = once(self, self.load)
        held_out, rest = self._split(y)
        self._check_size("train_size", self.train_size, len(rest))
        self._check_size("test_size", self.test_size, len(test_x))
        train = rest[: self.train_size]
        self.mean, self.std = _moments(x, torch.cat([held_out, rest[len(train) :]]))
        x, test_x = self.padded(x), self.padded(test_x)
        tested_indices = torch.arange(self.test_size or len(test_x))
        return {
            "train": Split(x, y, train),
            "val": Split(x, y, held_out),
            "test": Split(test_x, test_y, tested_indices),
        }

    @property
    def training_files(self) -> Files | None:
        """The parts of the path of each training image; None if they have no files with names."""
        return None

    def parts(self, y: Tensor) -> list[Tensor]:
        """Return the indices of each part for cross-validation, given the training labels."""
        groups = groups_of(self.groups, len(y), self.training_files) if self.groups else None
        return parts(y, int(self.folds or 0), self.split_seed, self.class_names, groups)

    def _split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the indices held out for validation, and the shuffled others."""
        n, generator = len(y), torch.Generator().manual_seed(self.split_seed)
        if self.folds and self.fold is not None:
            held_out = self.parts(y)
            rest = torch.cat([part for i, part in enumerate(held_out) if i != self.fold])
            return held_out[self.fold], rest[torch.randperm(len(rest), generator=generator)]
        if self.own_validation:
            others = n - self.own_validation
            return torch.arange(others, n), torch.randperm(others, generator=generator)
        order = torch.randperm(n, generator=generator)
        self._check_size("val_size", self.val_size, n - 1)
        return order[: self.val_size], order[self.val_size :]

    @property
    def alike_batches(self) -> bool:
        own = is_overridden("on_after_batch_transfer", self, ImageData)
        return not (own or self.augment.active)

    def padded(self, x: Tensor) -> Tensor:
        """Return images (n, channels, rows, columns) with `pad` black pixels added on each side."""
        return F.pad(x, [self.pad] * 4)

    def as_example(self, image: Image.Image) -> Tensor:
        """Convert any image to the form of this data set, uint8 (channels, rows, columns).

        Args:
            image: An 8-bit image of any size and mode.
        """
        channels, *sides = self.input_shape
        rows, columns = (side - 2 * self.pad for side in sides)
        return torch.from_numpy(resized(image, rows, columns, channels)).permute(2, 0, 1)

    def is_blank(self, example: Tensor) -> bool:
        """Return whether nothing was found in an own image; never where it is only resized."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return the normalisation and class names, which a network needs to make predictions.

        Empty if an error has ended the run before the images were read.
        """
        if not hasattr(self, "mean"):
            return {}
        return {"mean": self.mean.cpu(), "std": self.std.cpu(), "class_names": self.class_names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the normalisation that a network was trained with.

        Raises:
            UserError: If an entry is missing, or the class names differ from the current ones.
        """
        if missing := {"mean", "std", "class_names"} - set(state):
            raise UserError(
                f"The checkpoint lacks {sorted(missing)} of the data module.\nTrain again."
            )
        if (names := state["class_names"]) != self.class_names:
            now = ", ".join(self.class_names)
            raise UserError(
                f"The network was trained on other classes: {', '.join(names)}.\n"
                f"Found {now} in {self.source}."
            )
        self.mean, self.std = state["mean"], state["std"]

    def on_after_batch_transfer(self, batch: Images, dataloader_idx: int) -> Images:
        x, y = batch
        if self.augment.active and self.trainer and self.trainer.training:
            x = self.augment(x.float(), _generator(self.seed, self.trainer, x.device))
        return self._normalised(x), y

    def prepared_together(self, batches: Images) -> Images:
        x, y = batches
        if len(self._memory) < len(x) or self._memory.device != x.device:
            self._memory = torch.empty(x.shape, device=x.device)  # new memory takes longer to fill
        return self._normalised(x, self._memory[: len(x)]), y

    def _normalised(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        self.mean, self.std = self.mean.to(x.device), self.std.to(x.device)
        return torch.sub(x, self.mean, out=out).div_(self.std)

    def denormalise(self, x: Tensor) -> Tensor:
        return ((x * self.std.to(x.device) + self.mean.to(x.device)) / 255).clamp(0, 1)

    def _check_size(self, name: str, requested: int | None, available: int) -> None:
        if requested is not None and requested > available:
            raise UserError(
                f"--data.{name} {requested} is too large: {available} are available from"
                f" {self.source}.\nGive --data.{name} a number up to {available}."
            )


def _check_fold(folds: int | None, fold: int | None, groups: str | None) -> None:
    if folds is None and (fold, groups) != (None, None):
        given = f"--data.fold {fold}" if groups is None else f"--data.groups {groups}"
        raise UserError(f"{given} needs the number of parts: give --data.folds, e.g. 5, too.")
    if folds and (fold is None or fold >= folds):
        raise UserError(
            f"--data.folds {folds} needs the part to hold out: --data.fold 0 to {folds - 1}, got"
            f" {fold}.\nTo train all: ./scripts/run folds {folds} ..."
        )


def _generator(seed: int, trainer: Trainer, device: torch.device) -> torch.Generator:
    """Return a random generator that depends only on (seed, step, rank)."""
    step = trainer.fit_loop.epoch_loop.total_batch_idx + 1  # -1 before the first batch
    return torch.Generator(device).manual_seed(mixed(AUGMENT, seed, step, trainer.global_rank))


def _moments(x: Tensor, left_out: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per channel, (channels, 1, 1), without `left_out`.

    Counting each of the 256 values is exact and needs no float copy of the images.
    """
    value = torch.arange(256, dtype=torch.float64)
    moments = []
    for channel in range(x.shape[1]):
        count = _histogram(x[:, channel]) - _histogram(x[left_out, channel])
        mean = (count * value).sum() / count.sum()
        variance = (count * (value - mean) ** 2).sum() / count.sum()
        moments.append((mean, variance.sqrt().clamp(min=1.0)))  # no 0 for constant channels
    mean, std = torch.tensor(moments, dtype=torch.float32).view(-1, 2, 1, 1).unbind(dim=1)
    return mean, std


def _histogram(x: Tensor) -> Tensor:
    return torch.bincount(x.flatten(), minlength=256)
