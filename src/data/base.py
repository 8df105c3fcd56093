"""Base class of the data modules: three splits held in memory, and their data loaders."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from jsonargparse.typing import PositiveInt
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from src.data.loader import BatchLoader
from src.data.shared import keep, recall
from src.errors import UserError
from src.ranges import Seed

EVALUATION_BATCH = 1000  # examples; metrics do not depend on it, and small batches are slow
EVALUATION_VALUES = 2**22  # per batch; limits the memory that large images take


@dataclass
class Split:
    """Inputs `x` and targets `y` in memory, and the `indices` of the examples in the split."""

    x: Tensor
    y: Tensor
    indices: Tensor

    @classmethod
    def whole(cls, x: Tensor, y: Tensor) -> "Split":
        """Return a split that contains all examples."""
        return cls(x, y, torch.arange(len(x)))


class TensorData(LightningDataModule):
    """Data module that holds all examples in memory as tensors and batches them by index.

    A subclass implements `read` and sets the attributes that models and figures need:
    `input_shape`, `num_outputs`, `num_classes`, `class_names`, `source`.

    Args:
        batch_size: Number of examples per batch, on each process.
        seed: Seed of the shuffling of training examples; the CLI passes `seed_everything`.
    """

    input_shape: list[int]
    num_outputs: int
    num_classes: int | None = None  # None: regression
    class_names: list[str] | None = None
    source: str  # description of where the data came from
    file_names: list[str] | None = None  # of the user's own images, in order
    noise_floor: float | None = None  # mean squared error of a perfect predictor, if known

    def __init__(self, batch_size: PositiveInt = 100, seed: Seed = 0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.batch_size, self.seed = batch_size, seed
        self.splits: dict[str, Split] = {}
        self._copies: dict[Any, tuple[Tensor, Tensor]] = {}  # keyed by tensors and device

    def read(self) -> dict[str, Split]:
        """Return the splits `train`, `val` and `test`; called once.

        Raises:
            UserError: If the data is missing, damaged or too small for the requested sizes.
        """
        raise NotImplementedError

    def denormalise(self, x: Tensor) -> Tensor:
        """Undo the normalisation of a batch; images become pixels in [0, 1]."""
        return x

    def describe(self) -> dict[str, Any]:
        """Return the name, source and split sizes that are saved with a run."""
        sizes = {name: len(split.indices) for name, split in self.splits.items()}
        record = {"name": self.name or type(self).__name__, "source": self.source, "sizes": sizes}
        return record if self.noise_floor is None else {**record, "noise_floor": self.noise_floor}

    @cached_property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 hash of all inputs, targets and split indices."""
        total = hashlib.sha256()
        parts = {id(p): p for s in self.splits.values() for p in (s.x, s.y, s.indices)}
        for part in parts.values():
            total.update(part.contiguous().numpy().data)
        return total.hexdigest()[:16]

    def setup(self, stage: str) -> None:
        if self.splits or recall(self):
            return
        before = dict(vars(self))
        self.splits = self.read()
        for name, split in self.splits.items():
            if not len(split.indices):
                raise UserError(f"{type(self).__name__}: the {name} split is empty.")
        keep(self, before)

    @property
    def alike_batches(self) -> bool:
        """Whether several batches can be prepared at once: each sample by itself, no draws."""
        return not is_overridden("on_after_batch_transfer", self, LightningDataModule)

    def prepared_together(self, batches: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return several batches in one, prepared; the next call may overwrite them."""
        return self.on_after_batch_transfer(batches, 0)

    def train_dataloader(self) -> BatchLoader:
        overfit = getattr(self.trainer, "overfit_batches", 0)  # needs the same batches each epoch
        seed = None if overfit else self.seed
        loader = self._loader("train", self.batch_size, seed=seed, done=self._batches_done)
        self._limit_to_one_batch("limit_train_batches", loader)
        return loader

    def val_dataloader(self) -> BatchLoader:
        return self._evaluation_loader("val", "limit_val_batches")

    def test_dataloader(self) -> BatchLoader:
        return self._evaluation_loader("test", "limit_test_batches")

    def predict_dataloader(self) -> BatchLoader:
        return self._evaluation_loader("test", "limit_predict_batches")

    def _evaluation_loader(self, name: str, limit: str) -> BatchLoader:
        """Return large batches of a split, or those of the user if their number is limited."""
        share = getattr(self.trainer, limit, 1.0)
        if isinstance(share, float) and share == 1:
            largest = EVALUATION_VALUES // prod(self.input_shape)
            return self._loader(name, max(self.batch_size, min(EVALUATION_BATCH, largest)))
        loader = self._loader(name, self.batch_size)
        self._limit_to_one_batch(limit, loader)
        return loader

    def _limit_to_one_batch(self, limit: str, loader: BatchLoader) -> None:
        """Take one batch where the user asks for a share of less; Lightning would refuse it."""
        share = getattr(self.trainer, limit, 1.0)
        if isinstance(share, float) and 0 < share * len(loader) < 1:
            setattr(self.trainer, limit, 1)

    def _batches_done(self) -> int:
        """Return the number of batches of this epoch that are done, if a training is under way."""
        if self.trainer is None or not self.trainer.training:
            return 0
        return self.trainer.fit_loop.epoch_loop.batch_progress.current.ready

    def _loader(self, name: str, batch_size: int, **order: Any) -> BatchLoader:
        split, trainer = self.splits[name], self.trainer
        x, y = self._on_device(split)
        if trainer:
            order |= {"rank": trainer.global_rank, "world_size": trainer.world_size}
        if name == "train" and trainer and len(split.indices) < trainer.world_size:
            raise UserError(
                f"The {name} split has {len(split.indices)} examples, too few for"
                f" {trainer.world_size} processes.\nGive --trainer.devices 1, or use more data."
            )
        return BatchLoader(x, y, split.indices, batch_size, **order)

    def _on_device(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return inputs and targets on the training device if they fit; splits share one copy."""
        pair = (split.x, split.y)
        device = self.trainer.strategy.root_device if self.trainer else split.x.device
        if (*pair, device) not in self._copies:
            x, y = (part.to(device) for part in pair) if fits(split.x, device) else pair
            self._copies[*pair, device] = x, y
        return self._copies[*pair, device]


def fits(tensor: Tensor, device: torch.device) -> bool:
    """Return whether a copy takes less than half of the free GPU memory; warn if it does not."""
    if device.type != "cuda" or tensor.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        return True
    size = f"{tensor.nbytes / 1e9:.1f} GB"
    rank_zero_warn(f"The data ({size}) is too large for the GPU; each batch is copied to it.")
    return False
