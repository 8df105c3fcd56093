"""Seeds dropout by the step, so that a resumed run draws the same numbers."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from src.training.listeners import PartOfStep
from src.training.seeds import StepSeeds


class StepSeed(PartOfStep):
    """Seeds dropout, and any other draw of the model, from (seed, epoch, batch, process).

    A run that is resumed within an epoch then draws the same numbers as one that was not stopped.
    Saving the state of the generator is not enough: a batch that was interrupted is repeated.
    """

    def __init__(self) -> None:
        self.seeds = StepSeeds()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        device = trainer.strategy.root_device
        on_gpu = [torch.cuda.default_generators[device.index or 0]] if device.type == "cuda" else []
        self.generators = [torch.default_generator, *on_gpu]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        seed = self.seeds(trainer, batch_idx)
        for generator in self.generators:  # 1 us; torch.manual_seed takes 80
            generator.manual_seed(seed)
