"""Noisy points on a line, for linear regression."""

from collections.abc import Sequence

import torch
from jsonargparse.typing import NonNegativeFloat, PositiveInt
from torch import Tensor

from src.data.base import Split, TensorData
from src.errors import UserError
from src.ranges import Count, Seed


class Line(TensorData):
    """Points of y = slope * x + intercept + noise * N(0, 1).

    With one feature, training points are evenly spaced from `low` to `high`; with several, they are
    drawn uniformly from that range. Validation and test points are always drawn uniformly.

    Args:
        slope: Slope, or a list with one slope per feature.
        intercept: Value of y at x = 0.
        noise: Standard deviation of the noise on y.
        low: Minimum of each feature.
        high: Maximum of each feature.
        num_points: Number of training points.
        num_held_out: Number of validation points, and of test points.
        points_seed: Seed of the points and their noise; independent of the training seed.
        batch_size: Number of points per batch, on each process.
        seed: Seed of the shuffling of training points; the CLI passes `seed_everything`.
    """

    def __init__(
        self,
        slope: float | Sequence[float] = 2.0,
        intercept: float = 0.0,
        noise: NonNegativeFloat = 0.0,
        low: float = -1.0,
        high: float = 1.0,
        num_points: Count = 101,
        num_held_out: Count = 100,
        points_seed: Seed = 0,
        batch_size: PositiveInt = 10,
        seed: Seed = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        if not low < high:
            raise UserError(f"--data.low {low} must be less than --data.high {high}.")
        self.slope = torch.tensor(
            [slope] if isinstance(slope, int | float) else list(slope)
        ).float()
        if not len(self.slope):
            raise UserError("--data.slope [] is empty; give a number, or one for each feature.")
        self.intercept, self.noise, self.low, self.high = intercept, noise, low, high
        self.num_points, self.num_held_out = num_points, num_held_out
        self.points_seed = points_seed
        self.input_shape, self.num_outputs = [len(self.slope)], 1
        self.noise_floor = noise**2
        self.source = f"synthetic line, points_seed {points_seed}"

    def read(self) -> dict[str, Split]:
        generator = torch.Generator().manual_seed(self.points_seed)
        features = len(self.slope)

        def uniform(n: int) -> Tensor:
            return self.low + (self.high - self.low) * torch.rand(n, features, generator=generator)

        def points(x: Tensor) -> Split:
            noise = self.noise * torch.randn(len(x), 1, generator=generator)
            return Split.whole(x, x @ self.slope[:, None] + self.intercept + noise)

        even = torch.linspace(self.low, self.high, self.num_points)[:, None]
        train = points(even if features == 1 else uniform(self.num_points))
        return {"train": train, "val": points(uniform(self.num_held_out)),
                "test": points(uniform(self.num_held_out))}  # fmt: skip
