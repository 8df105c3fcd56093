"""Stops a run whose numbers have become NaN or infinite, and keeps such weights off the disk."""

from math import isfinite
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from src.errors import UserError


class FiniteGuard(Callback):
    """Looks at the loss before each step, and at the weights before they are saved.

    Gradients are not looked at: reading them all would take 2 to 4 % of a small model's step. One
    that is NaN makes weights and the next loss NaN; one that is infinite may hide in a unit that is
    saturated, until then.
    """

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        finite = isfinite(loss.item())
        if trainer.world_size > 1:  # or the others would wait for this one
            finite = trainer.strategy.reduce_boolean_decision(finite, all=True)
        if not finite:
            look_at_weights(trainer, pl_module)
            made = "The step was not made."
            raise UserError(report(f"the loss is not finite ({loss.item():g})", made, trainer))

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        look_at_weights(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        look_at_weights(trainer, pl_module)


def look_at_weights(trainer: Trainer, model: LightningModule) -> None:
    """Raise UserError if a weight is NaN or infinite: a gradient was, or a step too long."""
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            what = f"a gradient is not finite, nor is the weight {name} since,"
            raise UserError(report(what, "No checkpoint holds it.", trainer))


def report(what: str, saved: str, trainer: Trainer) -> str:
    """Return what is wrong, where in the run, and what to do."""
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    return (
        f"{what} at step {trainer.global_step}, epoch {trainer.current_epoch}, lr {rate:g}.\n"
        f"{saved} Lower --model.optimizer.lr, or look for values in the data that are NaN or huge."
    )
