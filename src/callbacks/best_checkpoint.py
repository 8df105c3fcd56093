"""Keeps the best checkpoints of a run, the end of training included."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, StochasticWeightAveraging

from src.training.internals import save_if_best

AVERAGED = "averaged.ckpt"  # the average that StochasticWeightAveraging ends with


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, which also judges the end of training and overwrites nothing.

    The last step is validated and compared with the others, even if training ends within an epoch
    or between two validations. A name that is taken by a checkpoint that is to be kept gets a
    suffix: `best-epoch03-v1.ckpt`. A file that a killed session left under that name is replaced.
    """

    validated_step = -1

    @property
    def state_key(self) -> str:
        """Return the key of Lightning's class, which checkpoints of earlier versions hold."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validated_step = trainer.global_step
        super().on_validation_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        averaged = ends_with_average(trainer)
        if trainer.enable_validation and (averaged or self.validated_step != trainer.global_step):
            validate(trainer)
        if averaged and not trainer.fast_dev_run:
            self.best_model_path = f"{self.dirpath}/{AVERAGED}"
            self.best_model_score = trainer.callback_metrics.get(str(self.monitor))
            trainer.save_checkpoint(self.best_model_path, self.save_weights_only)
        else:
            save_if_best(self, trainer)
        super().on_train_end(trainer, pl_module)

    def file_exists(self, filepath: Any, trainer: Trainer) -> bool:
        """Return whether a name belongs to a checkpoint that is to be kept."""
        if self.monitor is None:  # nothing says which are
            return super().file_exists(filepath, trainer)
        return str(filepath) in {*self.best_k_models, self.best_model_path, self.last_model_path}


def ends_with_average(trainer: Trainer) -> bool:
    """Return whether the weights are now the average of StochasticWeightAveraging.

    It replaces the weights at the end of its last epoch, and saves the average nowhere.
    """
    averages = [c for c in trainer.callbacks if isinstance(c, StochasticWeightAveraging)]
    return any(trainer.max_epochs == -1 or trainer.current_epoch > c.swa_end for c in averages)


def validate(trainer: Trainer) -> None:
    """Validate the current weights within the training."""
    trainer.validating = True
    trainer.fit_loop.epoch_loop.val_loop.run()
    trainer.training = True
