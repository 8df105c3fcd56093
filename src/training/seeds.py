"""Seeds of random draws as a function of the position in a run, so that resuming repeats them."""

import numpy as np

DROPOUT = 2  # separates these draws from those of the sample order and of augmentation


def step_seeds(seed: int, epoch: int, rank: int, steps: int) -> list[int]:
    """Return a seed for each step of an epoch on one process."""
    numbers = DROPOUT, seed, epoch, rank
    return np.random.SeedSequence(numbers).generate_state(steps).tolist()
