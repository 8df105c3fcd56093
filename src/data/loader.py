"""Batches by index from tensors in memory: no worker processes, no per-example Python."""

from collections.abc import Callable, Iterator
from math import ceil

import numpy as np
import torch
from torch import Tensor


def mixed(*numbers: int) -> int:
    """Return one 32-bit seed that depends on all the numbers.

    A sum or a shift would not do: torch's CPU generator looks at the low 32 bits alone, and seeds
    that differ by one would share their numbers a step later.
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class BatchLoader:
    """Iterates over `(x[i], y[i])` for slices i of one order of the examples, on this rank's share.

    While training, the order is a permutation that depends on (seed, epoch) alone, and every rank
    gets the same number of batches of the same sizes: of n examples over `world_size` ranks, the
    last `n % world_size` of the permutation rest for this epoch. In evaluation the order is the
    given one and every example comes exactly once over all ranks: none is left out or repeated. A
    rank for which there is none reads one empty batch then, since all must report their sums.

    Args:
        x: Examples `(n, ...)`, of any dtype, on any device; never copied as a whole.
        y: Targets `(n, ...)`, on the same device.
        indices: Which examples belong to this split, int64 `(m,)`.
        batch_size: Examples in a batch of one rank; the last batch may be smaller.
        seed: Shuffle with this seed; None keeps the order of the indices, for evaluation.
        rank: Which share is read here, of `world_size`.
        world_size: Number of processes.
        done: Tells, when the first batch is asked for, how many of this epoch are done already, in
            a run that is resumed; none by default.
    """

    batch_sampler = None  # with `sampler`, what Lightning looks at to call set_epoch

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
        # The first batch is asked for after set_epoch, so a generator sees the right epoch.
        order = self.order().to(self.x.device)
        for batch in range(self.done(), len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield self.x.index_select(0, chosen), self.y.index_select(0, chosen)
