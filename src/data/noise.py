"""Random inputs with random targets, which a network can only memorise."""

from collections.abc import Sequence

import torch
from jsonargparse.typing import PositiveInt

from src.data.base import Split, TensorData
from src.ranges import Count, Seed, Width


class Noise(TensorData):
    """Inputs and targets drawn independently from N(0, 1).

    A network that fits them has memorised them (Zhang et al., Understanding deep learning requires
    rethinking generalization, 2017): on new samples the best prediction is 0, with an error of 1.

    Args:
        shape: Shape of one input.
        num_targets: Number of random values to predict per example.
        num_examples: Number of training examples.
        num_held_out: Number of validation examples, and of test examples.
        points_seed: Seed of inputs and targets; independent of the training seed.
        batch_size: Number of examples per batch, on each process.
        seed: Seed of the shuffling of training examples; the CLI passes `seed_everything`.
    """

    noise_floor = 1.0

    def __init__(
        self,
        shape: Sequence[Width] = (1, 32, 32),
        num_targets: Width = 10,
        num_examples: Count = 100,
        num_held_out: Count = 100,
        points_seed: Seed = 0,
        batch_size: PositiveInt = 100,
        seed: Seed = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        self.num_examples, self.num_held_out = num_examples, num_held_out
        self.points_seed = points_seed
        self.input_shape, self.num_outputs = [int(side) for side in shape], int(num_targets)
        self.source = f"random numbers, points_seed {points_seed}"

    def read(self) -> dict[str, Split]:
        generator = torch.Generator().manual_seed(self.points_seed)

        def draws(n: int) -> Split:
            x = torch.randn(n, *self.input_shape, generator=generator)
            return Split.whole(x, torch.randn(n, self.num_outputs, generator=generator))

        sizes = {"train": self.num_examples, "val": self.num_held_out, "test": self.num_held_out}
        return {name: draws(n) for name, n in sizes.items()}
