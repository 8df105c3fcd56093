"""Seeds of random draws as a function of the position in a run, so that resuming repeats them."""

import numpy as np
from lightning.pytorch import Trainer

MOST = 2**20  # seeds an epoch; a run with an endless epoch repeats them
DROPOUT = 2  # separates these draws from those of the sample order and of augmentation


def step_seeds(seed: int, epoch: int, rank: int, steps: int) -> list[int]:
    """Return a seed for each step of an epoch on one process."""
    numbers = DROPOUT, seed, epoch, rank
    return np.random.SeedSequence(numbers).generate_state(steps).tolist()


class StepSeeds:
    """The seeds of the steps of a run, drawn once for each epoch."""

    def __init__(self) -> None:
        self.epoch = -1
        self.seeds: list[int] = []

    def __call__(self, trainer: Trainer, batch: int) -> int:
        """Return the seed of the step on a batch of the current epoch."""
        if trainer.current_epoch != self.epoch:
            self.epoch, steps = trainer.current_epoch, int(min(trainer.num_training_batches, MOST))
            seed = trainer.datamodule.seed
            self.seeds = step_seeds(seed, self.epoch, trainer.global_rank, steps)
        return self.seeds[batch % MOST]
