"""Checks of Lightning's callbacks: those that cannot work here are refused, with another way."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    LearningRateFinder,
    ModelPruning,
    SpikeDetection,
)

from src.errors import UserError

INSTEAD = {  # callbacks that search or stop on their own terms, and what to use
    BatchSizeFinder: "it would make the batch size depend on this machine.\nGive --data.batch_size",
    LearningRateFinder: "it changes the model before the run.\nUse ./scripts/run lr_find, and give"
    " --model.optimizer.lr",
    SpikeDetection: "it needs finite_only and a loss by step, and ends a run without a result.\n"
    "Leave it out: a loss that is not finite stops a run anyway",
}


def check_callbacks(trainer: Trainer, model: LightningModule, resumes: bool) -> None:
    """Refuse callbacks that would fail within the run, or make it another one.

    Raises:
        UserError: With the callback, the reason, and what to do.
    """
    for callback in trainer.callbacks:
        for kind, reason in INSTEAD.items():
            if isinstance(callback, kind):
                raise UserError(f"{kind.__name__} is not supported: {reason}.")
        if isinstance(callback, BaseFinetuning) and not hasattr(model, "backbone"):
            raise UserError(
                f"{type(callback).__name__} needs a model with a part named backbone, which"
                f" {type(model).__name__} has not.\nLeave it out, or write such a model."
            )
        if isinstance(callback, ModelPruning) and resumes:
            raise UserError(
                "A run with ModelPruning cannot be resumed: its masks are in no checkpoint.\n"
                "Start it again without --resume and --ckpt_path."
            )
