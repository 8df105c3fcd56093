"""Batches by index from tensors in memory, without worker processes or per-sample Python."""

from collections.abc import Callable, Iterator
from math import ceil

import numpy as np
import torch
from torch import Tensor


def mixed(*numbers: int) -> int:
    """Return one 32-bit seed that depends on all the numbers.

    A sum or a shift is not enough: torch's CPU generator uses the low 32 bits only, and seeds that
    differ by one would produce the same numbers one step later.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class BatchLoader:
    """Iterates over batches `(x[i], y[i])` of this rank's share of the samples.

    In training, the order is a permutation that depends on (seed, epoch) only, and every rank gets
    the same number of batches of the same sizes: with n samples and `world_size` ranks, the last
    `n % world_size` samples of the permutation are skipped in this epoch. In evaluation, the order
    is the given one, and every sample is read exactly once over all ranks, without padding. A rank
    without samples reads one empty batch then, since all ranks must report their sums.

    Args:
        x: Samples `(n, ...)`, of any dtype, on any device; never copied as a whole.
        y: Targets `(n, ...)`, on the same device.
        indices: The samples that belong to this split, int64 `(m,)`.
        batch_size: Samples per batch on one rank; the last batch may be smaller.
        seed: Shuffle with this seed; None keeps the order of the indices, for evaluation.
        rank: The share to read, of `world_size`.
        world_size: Number of processes.
        done: Called at the first batch; returns how many batches of this epoch a run has done
            already. By default 0.
    """

    batch_sampler = None  # Lightning calls set_epoch on loaders with these two attributes

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        indices: Tensor,
        batch_size: int,
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        done: Callable[[], int] = int,
    ) -> None:
        self.x, self.y, self.indices = x, y, indices
        self.batch_size, self.seed = batch_size, seed
        self.rank, self.world_size, self.done = rank, world_size, done
        self.epoch = 0

    @property
    def sampler(self) -> "BatchLoader":
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def order(self) -> Tensor:
        """Return the indices that this rank reads in this epoch, in order, int64 `(k,)`."""
        if self.seed is None:
            return self.indices[self.rank :: self.world_size]
        generator = torch.Generator().manual_seed(mixed(self.seed, self.epoch))
        shuffled = self.indices[torch.randperm(len(self.indices), generator=generator)]
        equal = len(shuffled) - len(shuffled) % self.world_size
        return shuffled[:equal][self.rank :: self.world_size]

    def __len__(self) -> int:
        n = len(self.indices)
        if self.seed is not None:
            return ceil((n // self.world_size) / self.batch_size)
        share = len(range(self.rank, n, self.world_size))
        return max(ceil(share / self.batch_size), min(n, 1))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # A generator starts at the first batch, which comes after set_epoch.
        order = self.order().to(self.x.device)
        for batch in range(self.done(), len(self)):
            yield self.take(order, batch)

    def take(self, order: Tensor, batch: int, batches: int = 1) -> tuple[Tensor, Tensor]:
        """Return the samples and targets of a batch of an order, or of several from it on."""
        chosen = order[batch * self.batch_size : (batch + batches) * self.batch_size]
        return self.x.index_select(0, chosen), self.y.index_select(0, chosen)
