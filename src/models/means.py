"""Epoch means of loss and score, cheaper than metric objects."""

import torch
import torch.nn.functional as F
from torch import Tensor

TOGETHER = 64  # batches that are summed at once


class Means:
    """Sums of loss, score and number of examples, used to compute the means of an epoch.

    The score is the accuracy (`acc`), or the squared error (`mse`) if targets are real numbers. The
    sums stay on the device, so that updates need no synchronization; updating a metric object
    would take longer than the step of a small model. Batches are summed several at once, which
    takes a quarter of the time.
    """

    def __init__(self) -> None:
        self.score_name = "acc"
        self._loss, self._score, self._examples = (torch.zeros(()) for _ in range(3))
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []  # losses, outputs, targets

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """The sums of loss and score, and the number of examples, updated in place."""
        self._sum()
        return self._loss, self._score, self._examples

    def add(self, loss: Tensor, output: Tensor, y: Tensor) -> None:
        """Add a batch: its mean loss, its outputs `(B, num_outputs)` and its targets."""
        if not len(y):  # the batch of a process that got no example
            return
        if self._batches and (len(self._batches) == TOGETHER or len(self._batches[0][2]) != len(y)):
            self._sum()
        self._batches.append((loss.detach(), output.detach(), y))

    def _sum(self) -> None:
        """Add the batches that have not been summed yet, which are of one size."""
        if not self._batches:
            return
        losses, outputs, targets = zip(*self._batches, strict=True)
        self._batches = []
        loss, output, y = torch.stack(losses), torch.cat(outputs), torch.cat(targets)
        if self._loss.device != y.device or loss.dtype.itemsize > self._loss.dtype.itemsize:
            self._move(y.device, loss.dtype)
        self._loss.add_(loss.to(self._loss.dtype).sum(), alpha=len(targets[0]))
        self._examples.add_(len(y))
        self.score_name = score_name(y)
        self._score.add_(score(output, y))

    def add_sums(self, loss: Tensor, total: Tensor, n: int, name: str) -> None:
        """Add the sums of n samples: of their losses, and of the score with this name."""
        self._sum()
        if self._loss.device != loss.device:
            self._move(loss.device, loss.dtype)
        self._loss.add_(loss)
        self._score.add_(total)
        self._examples.add_(n)
        self.score_name = name

    def _move(self, device: torch.device, dtype: torch.dtype) -> None:
        """Keep the sums on a device, with at least 32 bits: above 2,048 a sum of 16 cannot grow."""
        wide = torch.promote_types(dtype, torch.float32)
        self._loss, self._score, self._examples = (one.to(device, wide) for one in self.tensors)

    def sums(self, device: torch.device) -> Tensor:
        """Return the sums of loss, score and number of examples, `(3,)` on the device."""
        return torch.stack([one.to(device) for one in self.tensors])

    def restore(self, sums: Tensor) -> None:
        """Restore the sums saved in a checkpoint."""
        self._batches = []
        self._loss, self._score, self._examples = (one.clone() for one in sums)

    def pop(self, device: torch.device) -> Tensor:
        """Return the sums and reset them to zero."""
        sums = self.sums(device)
        for one in self.tensors:
            one.zero_()
        return sums


def score_name(y: Tensor) -> str:
    """Return the name of the score for targets: `acc` for classes, `mse` for numbers."""
    return "mse" if y.is_floating_point() else "acc"


def score(output: Tensor, y: Tensor) -> Tensor:
    """Return the number of right classes, or the sum of the squared errors of numbers."""
    if score_name(y) == "acc":
        return (output.argmax(dim=1) == y).sum()
    wide = torch.promote_types(y.dtype, torch.float32)
    return len(y) * F.mse_loss(output.to(wide), y.to(wide))
