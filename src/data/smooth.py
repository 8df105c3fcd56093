"""Noisy samples of a smooth nonlinear function, for regression with an MLP."""

import torch
from jsonargparse.typing import NonNegativeFloat, PositiveInt
from torch import Tensor

from src.data.base import Split, TensorData
from src.ranges import Count, Seed, Width


class SmoothFunction(TensorData):
    """Points of y = 3 sin(x A) + noise * N(0, 1), x uniform in [-2, 2], A drawn from N(0, 1/16).

    Args:
        num_features: Number of inputs of the function.
        num_targets: Number of outputs of the function.
        noise: Standard deviation of the noise on each output.
        num_points: Number of training points.
        num_held_out: Number of validation points, and of test points.
        points_seed: Seed of A, the points and their noise; independent of the training seed.
        batch_size: Number of points per batch, on each process.
        seed: Seed of the shuffling of training points; the CLI passes `seed_everything`.
    """

    def __init__(
        self,
        num_features: Width = 4,
        num_targets: Width = 4,
        noise: NonNegativeFloat = 0.1,
        num_points: Count = 1000,
        num_held_out: Count = 1000,
        points_seed: Seed = 0,
        batch_size: PositiveInt = 1000,
        seed: Seed = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        self.noise, self.num_points, self.num_held_out = noise, num_points, num_held_out
        self.points_seed = points_seed
        self.input_shape, self.num_outputs = [int(num_features)], int(num_targets)
        self.noise_floor = noise**2
        self.source = f"synthetic function, points_seed {points_seed}"

    def read(self) -> dict[str, Split]:
        generator = torch.Generator().manual_seed(self.points_seed)
        [features], targets = self.input_shape, self.num_outputs
        mixing = torch.randn(features, targets, generator=generator) / 4

        def points(n: int) -> Split:
            x = 4 * torch.rand(n, features, generator=generator) - 2
            noise: Tensor = self.noise * torch.randn(n, targets, generator=generator)
            return Split.whole(x, 3 * torch.sin(x @ mixing) + noise)

        sizes = {"train": self.num_points, "val": self.num_held_out, "test": self.num_held_out}
        return {name: points(n) for name, n in sizes.items()}
