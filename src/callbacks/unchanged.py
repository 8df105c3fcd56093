"""Warns if training does not change the weights."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor


class Unchanged(Callback):
    """Names the parameters that are the same after the first epoch as before it.

    Whatever the cause, such as a learning rate of 0 or one too small for 16 bits, or a layer that
    gets no gradient: nothing else would tell that the run trains nothing. Frozen parameters are
    left out.
    """

    def __init__(self) -> None:
        self.before: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 0:
            self.before = {name: value.clone() for name, value in trained(pl_module)}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = [pair for pair in trained(pl_module) if pair[0] in self.before]
        same = {name: value for name, value in now if torch.equal(value, self.before[name])}
        if len(same) < len(now):  # a bias may stay the same by rounding
            same = {name: value for name, value in same.items() if value.ndim > 1}
        if same:
            names = f"{', '.join([*same][:3])}{' and others' if len(same) > 3 else ''}"
            rank_zero_warn(
                f"The first epoch has not changed {names}: the run trains nothing there."
                " Check the learning rate, the precision, and that the loss depends on them."
            )
        self.before = {}


def trained(model: LightningModule) -> list[tuple[str, Tensor]]:
    """Return names and values of the parameters that are to be trained."""
    return [(name, p.detach()) for name, p in model.named_parameters() if p.requires_grad]
