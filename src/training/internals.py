"""The private names of Lightning and TensorBoard that this project uses, all in one place.

Each has no public counterpart in Lightning 2.6. For each: why it is needed, and what breaks when a
release changes it; `tests/training/test_internals.py` fails then, by name.
"""

from math import inf
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loops.fetchers import _DataFetcher as DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop as TrainingEpochLoop

# Base class and argument type of our `EpochLoop`: loops have had no public base class since 2.0.
# If they change, plain steps fail at the first batch. `_should_accumulate` is overridden there, and
# `_num_ready_batches_reached` says whether an epoch is over, and `_should_check_val_fx` whether to
# validate.
__all__ = ["DataFetcher", "TrainingEpochLoop"]


def begin_batch(trainer: Trainer, batch: Any) -> None:
    """Tell the logging connector that a batch begins; without it `self.log` has no batch size."""
    trainer._logger_connector.on_batch_start(batch)


def end_batch(trainer: Trainer) -> None:
    """Tell the logging connector that a batch is done; without it epoch metrics are not reset."""
    trainer._logger_connector.on_batch_end()


def send_step_metrics(trainer: Trainer) -> None:
    """Send logged values to loggers and progress bar; without it there are no curves by step."""
    trainer._logger_connector.update_train_step_metrics()


def enter_hook(model: LightningModule, hook: str | None) -> None:
    """Set the hook that `self.log` takes itself to be called from; without it `self.log` refuses.

    Assigned past `nn.Module.__setattr__`, which would take 5 us in each of five hooks a step.
    """
    vars(model)["_current_fx_name"] = hook


def forget_step_values(trainer: Trainer) -> None:
    """Forget what `training_step` has logged, which would be logged again at the next steps.

    Without it, a step of Lightning's way among ours repeats its loss in the curves.
    """
    if trainer._results is not None:
        trainer._results.reset(metrics=False, fx="training_step")


def keep_signal_handlers(trainer: Trainer) -> None:
    """Keep Lightning from replacing our signal handlers.

    Its handler of SIGTERM ends a run with exit code 0, and several processes never. If the name
    changes, SIGTERM ends a run with code 0 again.
    """
    vars(trainer._signal_connector)["register_signal_handlers"] = lambda: None


def end_restart(trainer: Trainer) -> None:
    """Mark the fit loop alone as no longer restarting; its public setter changes all loops.

    Without it, a resumed run skips ReduceLROnPlateau until the epoch after the current one.
    """
    vars(trainer.fit_loop)["_restarting"] = False


def resume_at_epoch_start(trainer: Trainer) -> None:
    """Resume a checkpoint that was saved between two epochs at the start of the next epoch.

    Without it, Lightning resumes every run limited by max_steps within an epoch.
    """
    vars(trainer.fit_loop)["_iteration_based_training"] = lambda: False


def logger_step(checkpoint: dict[str, Any]) -> int:
    """Return the step at which the curves of a resumed run continue.

    It differs from `global_step` where several optimizers step. If the key goes, resuming fails.
    """
    return int(checkpoint["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"])


def save_if_best(saver: ModelCheckpoint, trainer: Trainer) -> None:
    """Save a checkpoint now if it is among the best, whatever the interval of saving.

    If the names change, the end of a training between two intervals fails.
    """
    if not saver._should_skip_saving_checkpoint(trainer):
        saver._save_topk_checkpoint(trainer, saver._monitor_candidates(trainer))


def saving_interval(saver: ModelCheckpoint) -> float:
    """Return the number of steps between two checkpoints: 0 if it depends on time, inf if none.

    If the names change, the first stretch of steps fails.
    """
    if saver._train_time_interval is not None:
        return 0
    return saver._every_n_train_steps or inf


def count_batches(loop: TrainingEpochLoop, fetcher: DataFetcher, batches: int) -> None:
    """Count the batches of a stretch, as Lightning does for each batch but the last.

    Without it, curves have wrong steps, and an epoch does not end.
    """
    loop._batches_that_stepped += batches - 1
    fetcher.fetched += batches
    fetcher.done = fetcher.length is not None and fetcher.fetched >= fetcher.length
    loop.batch_progress.is_last_batch = fetcher.done


def trainer_of(model: LightningModule) -> Trainer | None:
    """Return the trainer of a model, None if it has none yet.

    The public property raises an error then. If the name changes, a model without a trainer fails.
    """
    return model._trainer


def write_summary(trainer: Trainer, summary: Any, step: int | None = None) -> None:
    """Write a protocol buffer, an encoded image or hyperparameters, to TensorBoard, if it is used.

    The public calls would encode an image twice, and log every metric a second time. If the name
    changes, pictures and the HPARAMS tab fail.
    """
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment._get_file_writer().add_summary(summary, step)
