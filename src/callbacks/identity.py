"""Saves the run identity in each checkpoint, and validates a resume by it."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from src.runs.identity import Facts, run_identity, validate


class Identity(Callback):
    """Saves in each checkpoint what determines the numbers; refuses to resume if it has changed.

    Args:
        saved: The identity in the checkpoint to resume from; None in a new run.
    """

    def __init__(self, saved: dict[str, Facts] | None = None) -> None:
        self.saved = saved

    def compare(self, trainer: Trainer, model: LightningModule, data: Any) -> None:
        """Compare the run with the saved identity, if there is one.

        Raises:
            UserError: With the old and the new value of what has changed.
        """
        if self.saved:
            validate(self.saved, trainer, model, data)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["identity"] = run_identity(trainer, pl_module, trainer.datamodule)
