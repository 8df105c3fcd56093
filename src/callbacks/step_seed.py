"""Randomness as a function of where a run is, not of how it got there."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

MOST = 2**20  # seeds of an epoch, which may have no end
DROPOUT = 2  # sets these draws apart from those of the order and of augmentation


class StepSeed(Callback):
    """Seeds dropout, and whatever else a model draws, from (seed, epoch, batch, process).

    So a run that is resumed in the middle of an epoch goes on with the numbers that it would have
    had. A generator saved with the checkpoint would not do: a batch that was cut short is repeated.
    """

    def __init__(self) -> None:
        self.epoch = -1

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.current_epoch != self.epoch:
            self._start(trainer)
        for generator in self.generators:  # torch.manual_seed would take 80 us, this takes 1
            generator.manual_seed(self.seeds[batch_idx % MOST])

    def _start(self, trainer: Trainer) -> None:
        self.epoch = trainer.current_epoch
        steps = int(min(trainer.num_training_batches, MOST))
        self.seeds = step_seeds(trainer.datamodule.seed, self.epoch, trainer.global_rank, steps)
        device = trainer.strategy.root_device
        on_gpu = [torch.cuda.default_generators[device.index or 0]] if device.type == "cuda" else []
        self.generators = [torch.default_generator, *on_gpu]


def step_seeds(seed: int, epoch: int, rank: int, steps: int) -> list[int]:
    """Return a seed for each step of an epoch of a process."""
    numbers = DROPOUT, seed, epoch, rank
    return np.random.SeedSequence(numbers).generate_state(steps).tolist()
