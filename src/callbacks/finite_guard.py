"""Stops a run whose numbers have become NaN or infinite, before they reach the weights."""

from collections.abc import Sequence

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from src.errors import UserError

LARGE = 2**15  # values; from here on a sum by several threads is the fastest look at a tensor


class FiniteGuard(Callback):
    """Looks at loss and gradients in every step, before the optimizer does."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.one = torch.ones((), device=pl_module.device)
        # With 16-bit gradients that are scaled, infinite ones are usual, and their step is skipped.
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        self.parameters = [] if scaled else list(pl_module.parameters())

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        self.loss = loss

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        finite = all_finite([self.loss.detach(), *gradients], self.one)
        if trainer.world_size > 1:  # or the others would wait for this one
            finite = trainer.strategy.reduce_boolean_decision(finite, all=True)
        if not finite:
            raise UserError(self._report(trainer, optimizer))

    def _report(self, trainer: Trainer, optimizer: Optimizer) -> str:
        what = "a gradient" if self.loss.isfinite() else "the loss"
        rate = optimizer.param_groups[0]["lr"]
        return (
            f"{what} is not finite (loss {self.loss.item():g}) at step {trainer.global_step}, epoch"
            f" {trainer.current_epoch}, batch {trainer.fit_loop.batch_idx}, lr {rate:g}.\n"
            "The step was not made. Lower --model.optimizer.lr, or look for values in the data that"
            " are NaN or huge."
        )


def all_finite(tensors: Sequence[Tensor], one: Tensor) -> bool:
    """Return whether no value is NaN or infinite.

    Args:
        tensors: On one device.
        one: 1, on that device.
    """
    singles = [t for t in tensors if t.dtype == torch.float32]
    small = [t for t in singles if t.is_cuda or t.numel() < LARGE]
    found = torch.zeros_like(one)
    # What torch's GradScaler looks with: one call for all. It multiplies by one, too.
    torch._amp_foreach_non_finite_check_and_unscale_(small, found, one)
    large = [t for t in singles if not t.is_cuda and t.numel() >= LARGE]
    others = [t for t in tensors if t.dtype != torch.float32]  # a sum of 16 bits may overflow
    return (
        not found.item()
        and all(t.sum().isfinite() for t in large)
        and all(t.isfinite().all() for t in others)
    )
