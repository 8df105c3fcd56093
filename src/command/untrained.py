"""Copies of the model and the callbacks of a command, made before training changes them."""

from copy import deepcopy
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from src.callbacks import ResumePoints
from src.callbacks.best_checkpoint import BestCheckpoint


class Untrained:
    """The model and the user's callbacks as they were before training.

    The test at the end of `fit` uses them: callbacks that replace or prune the weights during
    training would change what a checkpoint is loaded into. `test --run` has none of their state.

    Args:
        model: The model.
        callbacks: The callbacks that the user has chosen: a list, one, or None.
    """

    def __init__(self, model: LightningModule, callbacks: Any) -> None:
        self.used = callbacks if isinstance(callbacks, list) else [callbacks] * bool(callbacks)
        self.used = [*self.used]  # Lightning appends its own to the list
        self.model, self.callbacks = deepcopy((model, self.used))

    def put_into(self, trainer: Trainer) -> LightningModule:
        """Replace the callbacks of a trainer that were used by their copies; return the model."""
        copies = {id(used): copy for used, copy in zip(self.used, self.callbacks, strict=True)}
        trainer.callbacks = [copies.get(id(one), one) for one in trainer.callbacks]
        return self.model


def place(callback: Callback) -> int:
    """Return the place of a callback: resume points first, and the choice by validation is the
    first of those that save, which Lightning takes for `trainer.checkpoint_callback`."""
    if isinstance(callback, ResumePoints):
        return 0
    return 2 if isinstance(callback, BestCheckpoint) else 1 + 2 * isinstance(callback, Checkpoint)
