"""Stops a run whose loss or weights have become NaN or infinite."""

from math import isfinite
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from src.training.finite import NotFinite, check_weights, explain
from src.training.listeners import PartOfStep


class FiniteGuard(PartOfStep):
    """Checks the loss before each step, and the weights before each checkpoint.

    Gradients are not checked: reading all of them takes 2 to 4 % of a small model's step. A NaN in
    a gradient makes the weights and the next loss NaN. An infinite gradient of a saturated unit may
    stay unseen until the next checkpoint.
    """

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        finite = isfinite(loss.item())
        if trainer.world_size > 1:  # all processes must stop, or the others would wait
            finite = trainer.strategy.reduce_boolean_decision(finite, all=True)
        if not finite:
            check_weights(trainer, pl_module)
            what = f"The loss is not finite ({loss.item():g})"
            raise NotFinite(explain(what, "The step was not made.", trainer))

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        check_weights(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        check_weights(trainer, pl_module)
