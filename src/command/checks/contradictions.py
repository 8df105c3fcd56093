"""Checks of settings that contradict each other, made before any data is read."""

import os
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from src.command.checks.monitors import check_monitors
from src.errors import UserError

LEAST = {  # smallest values; the trainer does not check them
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "num_sanity_val_steps": 0,  # -1, for all, is infinity here
    "val_check_interval": 0.0001,
}


def check_processes(devices: Any) -> None:
    """Refuse more processes than cores, before the trainer creates a list of devices.

    Raises:
        UserError: If there are more.
    """
    most = max(4, os.cpu_count() or 1)  # four may be tried on any machine
    if str(devices).isdigit() and int(devices) > most:
        raise UserError(
            f"--trainer.devices {devices} is more than the {most} processes allowed here.\n"
            f"Give a number up to {most}."
        )


def uses_gpu(accelerator: str) -> bool:
    """Return whether an accelerator, by name, is a CUDA device on this machine."""
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def check_accelerator(name: str) -> None:
    """Refuse a GPU where there is none, before the trainer does so without advice.

    Raises:
        UserError: If torch finds no GPU of that kind.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    found["gpu"] = any(found.values())
    if found.get(name) is False:
        raise UserError(
            f"--trainer.accelerator {name}: torch finds no such device on this machine.\n"
            "Leave it out, or give cpu; GPUs need a driver and a build of torch that match."
        )


def check(trainer: Trainer, model: LightningModule, data: Any, command: str) -> None:
    """Refuse a command that would fail later, or end without a result.

    Raises:
        UserError: With the value found and what to give instead.
    """
    name = type(data).__name__
    if data.num_classes is None and model.hparams["loss"] == "cross_entropy":
        raise UserError(
            f"{type(model).__name__} with --model.loss cross_entropy predicts classes, but the"
            f" targets of {name} are real numbers.\nGive --model.loss mse, or data with classes."
        )
    _check_numbers(trainer)
    if command == "fit" and not trainer.fast_dev_run:
        by_epoch = model.hparams["scheduler_interval"] == "epoch"
        _check_length(trainer, model.hparams["scheduler"] or {}, by_epoch)
        _check_saving(trainer)
        check_monitors(trainer, model, data)
    part = {"validate": "val"}.get(command, command)
    if command != "fit" and getattr(trainer, f"limit_{part}_batches") == 0:
        raise UserError(f"--trainer.limit_{part}_batches 0 leaves nothing to {command}.")


def check_saved(trainer: Trainer) -> None:
    """Refuse to end successfully if a run that should save a checkpoint has saved none.

    Raises:
        UserError: If there is none.
    """
    savers = _savers(trainer)
    saved = any(one.best_model_path or one.last_model_path for one in savers)
    if savers and not saved and not trainer.fast_dev_run:
        raise UserError(
            f"The run has ended without a checkpoint: {savers[0].monitor} was never logged.\n"
            "Log it in the model, or give --checkpoint.monitor another metric or null."
        )


def _savers(trainer: Trainer) -> list[ModelCheckpoint]:
    return [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]


def _check_numbers(trainer: Trainer) -> None:
    for name, least in LEAST.items():
        value = getattr(trainer, name)
        if value is not None and value < least:
            raise UserError(f"--trainer.{name} {value} is not allowed: expected at least {least}.")


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
    if any(saver.save_top_k == 0 for saver in _savers(trainer)):
        raise UserError(
            "--checkpoint.save_top_k 0 would save nothing; give 1.\n"
            "To save nothing on purpose: --trainer.enable_checkpointing false."
        )
