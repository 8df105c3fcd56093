"""Epoch means of loss and score, cheaper than metric objects."""

import torch
import torch.nn.functional as F
from torch import Tensor

TOGETHER = 16  # batches whose right classes are counted at once


class Means:
    """Sums of loss, score and number of examples, used to compute the means of an epoch.

    The score is the accuracy (`acc`), or the squared error (`mse`) if targets are real numbers. The
    sums stay on the device, so that updates need no synchronization; updating a metric object
    would take longer than the step of a small model. The accuracy is counted for several batches
    at once, which gives the same whole number in less time.
    """

    def __init__(self) -> None:
        self.score_name = "acc"
        self._loss, self._score, self._examples = (torch.zeros(()) for _ in range(3))
        self._uncounted: list[tuple[Tensor, Tensor]] = []  # outputs and classes

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """The sums of loss and score, and the number of examples, updated in place."""
        self._count()
        return self._loss, self._score, self._examples

    def _move(self, device: torch.device, dtype: torch.dtype) -> None:
        """Keep the sums on a device, with at least 32 bits: above 2,048 a sum of 16 cannot grow."""
        wide = torch.promote_types(dtype, torch.float32)
        self._loss, self._score, self._examples = (one.to(device, wide) for one in self.tensors)

    def add(self, loss: Tensor, output: Tensor, y: Tensor) -> None:
        """Add a batch: its mean loss, its outputs `(B, num_outputs)` and its targets."""
        n = len(y)
        if not n:  # the batch of a process that got no example
            return
        if self._loss.device != y.device or loss.dtype.itemsize > self._loss.dtype.itemsize:
            self._move(y.device, loss.dtype)
        self._loss.add_(loss.detach(), alpha=n)
        self._examples.add_(n)
        if y.is_floating_point():
            wide = torch.promote_types(y.dtype, torch.float32)
            error = F.mse_loss(output.detach().to(wide), y.to(wide))
            self.score_name = "mse"
            self._score.add_(n * error)
            return
        self.score_name = "acc"
        self._uncounted.append((output.detach(), y))
        if len(self._uncounted) == TOGETHER:
            self._count()

    def _count(self) -> None:
        """Add the number of right classes of the batches that are not counted yet."""
        if self._uncounted:
            output, y = map(torch.cat, zip(*self._uncounted, strict=True))
            self._score.add_((output.argmax(dim=1) == y).sum())
            self._uncounted = []

    def sums(self, device: torch.device) -> Tensor:
        """Return the sums of loss, score and number of examples, `(3,)` on the device."""
        return torch.stack([one.to(device) for one in self.tensors])

    def restore(self, sums: Tensor) -> None:
        """Restore the sums saved in a checkpoint."""
        self._uncounted = []
        self._loss, self._score, self._examples = (one.clone() for one in sums)

    def pop(self, device: torch.device) -> Tensor:
        """Return the sums and reset them to zero."""
        sums = self.sums(device)
        for one in self.tensors:
            one.zero_()
        return sums
