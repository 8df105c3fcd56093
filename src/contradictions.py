"""Settings that cannot go together, refused before any data is read."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import ModelCheckpoint

from src.errors import UserError

LEAST = {  # what the trainer takes without a look
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
}
STEPS = ("training_step", "validation_step", "on_train_epoch_end", "on_validation_epoch_end")


def check(trainer: Trainer, model: LightningModule, data: Any, command: str) -> None:
    """Refuse a command that could only fail later, or end without what it was asked for.

    Raises:
        UserError: With what was found and what to give instead.
    """
    name = type(data).__name__
    if data.num_classes is None and model.hparams["loss"] == "cross_entropy":
        raise UserError(
            f"{type(model).__name__} with --model.loss cross_entropy predicts classes, but the"
            f" targets of {name} are real numbers.\nGive --model.loss mse, or data with classes."
        )
    _check_numbers(trainer)
    _check_processes(trainer)
    if command == "fit" and not trainer.fast_dev_run:
        by_epoch = model.hparams["scheduler_interval"] == "epoch"
        _check_length(trainer, model.hparams["scheduler"] or {}, by_epoch)
        _check_saving(trainer)
        _check_monitors(trainer, model, data)
    part = {"validate": "val"}.get(command, command)
    if command != "fit" and getattr(trainer, f"limit_{part}_batches") == 0:
        raise UserError(f"--trainer.limit_{part}_batches 0 leaves nothing to {command}.")


def check_saved(trainer: Trainer) -> None:
    """Refuse to end in peace if a run that was to save a checkpoint has saved none.

    Raises:
        UserError: If there is none.
    """
    savers = [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]
    saved = any(one.best_model_path or one.last_model_path for one in savers)
    if savers and not saved and not trainer.fast_dev_run:
        raise UserError(
            "The run has ended without saving a checkpoint: none was due yet.\n"
            "Give --checkpoint.every_n_epochs or every_n_train_steps a smaller number."
        )


def _check_numbers(trainer: Trainer) -> None:
    for name, least in LEAST.items():
        value = getattr(trainer, name)
        if value is not None and value < least:
            raise UserError(f"--trainer.{name} {value} is not allowed: expected at least {least}.")


def _check_processes(trainer: Trainer) -> None:
    cores = max(2, os.cpu_count() or 1)  # two, to try it out, anywhere
    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > cores:
        raise UserError(
            f"--trainer.devices {trainer.num_devices} is more than the {cores} cores of this"
            f" machine.\nGive --trainer.devices a number up to {cores}."
        )


def _check_length(trainer: Trainer, scheduler: dict[str, Any], by_epoch: bool) -> None:
    for limit in ("max_epochs", "max_steps", "limit_train_batches"):
        if getattr(trainer, limit) == 0:
            raise UserError(f"--trainer.{limit} 0 trains nothing; give at least 1, or run `test`.")
    arguments = scheduler.get("init_args") or {}
    given = arguments.get("total_steps") or arguments.get("epochs")
    endless = trainer.max_epochs == -1 and (by_epoch or trainer.max_steps == -1)
    if scheduler.get("class_path", "").endswith("OneCycleLR") and endless and not given:
        raise UserError(
            "OneCycleLR needs the length of the run, and --trainer.max_epochs -1 has none.\n"
            "Give --trainer.max_epochs, or --model.scheduler.total_steps."
        )


def _check_saving(trainer: Trainer) -> None:
    every, epochs = trainer.check_val_every_n_epoch, trainer.max_epochs
    if trainer.limit_val_batches and every and epochs and 0 < epochs < every:
        raise UserError(
            f"--trainer.check_val_every_n_epoch {every} is more than --trainer.max_epochs {epochs}:"
            f" nothing would be validated or saved.\nGive --trainer.check_val_every_n_epoch a"
            f" number up to {epochs}, or --trainer.limit_val_batches 0."
        )
    if any(getattr(one, "save_top_k", None) == 0 for one in trainer.checkpoint_callbacks):
        raise UserError(
            "--checkpoint.save_top_k 0 saves nothing; give at least 1.\n"
            "To save nothing on purpose: --trainer.enable_checkpointing false."
        )


def _check_monitors(trainer: Trainer, model: LightningModule, data: LightningDataModule) -> None:
    known = _logged(model, data)
    for option, monitor in _monitors(trainer, model):
        stage = monitor.partition("/")[0]
        if stage == "val" and not trainer.limit_val_batches:
            raise UserError(
                f"{option} {monitor} is not there to choose by: --trainer.limit_val_batches 0 turns"
                f" validation off.\nGive {option} train/loss, or let some batches be validated."
            )
        if known and monitor not in known:
            near = " or ".join(get_close_matches(monitor, known, n=2, cutoff=0))
            raise UserError(
                f"{option} {monitor} is not there to choose by: {type(model).__name__} on"
                f" {type(data).__name__} logs {', '.join(known)}.\nDid you mean {near}?"
            )


def _monitors(trainer: Trainer, model: LightningModule) -> Iterator[tuple[str, str]]:
    """Yield options and the metrics that they choose by, but for epoch and step."""
    for callback in trainer.callbacks:
        kind = type(callback).__name__
        option = "--checkpoint.monitor" if kind == "ModelCheckpoint" else f"monitor of {kind}"
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor not in ("epoch", "step"):
            yield option, monitor
    scheduler = model.hparams["scheduler"] or {}
    if monitor := (scheduler.get("init_args") or {}).get("monitor"):
        yield "--model.scheduler.monitor", monitor


def _logged(model: LightningModule, data: Any) -> list[str]:
    """Return the names of the metrics of fit; none are known of a class with steps of its own."""
    shared = next(cls for cls in type(model).__mro__ if cls.__module__ == "src.models.base")
    if any(getattr(type(model), step) is not getattr(shared, step) for step in STEPS):
        return []
    score = "mse" if data.num_classes is None else "acc"
    return ["train/loss", f"train/{score}", "train/lr", "val/loss", f"val/{score}"]
