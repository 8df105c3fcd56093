"""Checks that checkpoints, callbacks and schedulers monitor a metric that the run logs."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from src.errors import UserError

STEPS = ("training_step", "validation_step", "on_train_epoch_end", "on_validation_epoch_end")


def check_monitors(trainer: Trainer, model: LightningModule, data: LightningDataModule) -> None:
    """Refuse a checkpoint, callback or scheduler that monitors a metric that is never logged.

    Raises:
        UserError: With the nearest metric that is logged.
    """
    known = _logged(model, data)
    for option, monitor in _monitors(trainer, model):
        stage = monitor.partition("/")[0]
        if stage == "val" and not trainer.limit_val_batches:
            raise UserError(
                f"{option} {monitor} is never logged: --trainer.limit_val_batches 0 turns"
                f" validation off.\nGive {option} train/loss, or a limit above 0."
            )
        if known and monitor not in known:
            near = " or ".join(get_close_matches(monitor, known, n=2, cutoff=0))
            raise UserError(
                f"{option} {monitor} is never logged: {type(model).__name__} on"
                f" {type(data).__name__} logs {', '.join(known)}.\nDid you mean {near}?"
            )


def _monitors(trainer: Trainer, model: LightningModule) -> Iterator[tuple[str, str]]:
    """Yield each option and the metric that it monitors, other than epoch and step."""
    for callback in trainer.callbacks:
        kind = type(callback).__name__
        usual = "--checkpoint.monitor" if kind == "BestCheckpoint" else f"monitor of {kind}"
        option = getattr(callback, "option", usual)  # that of a tool, with a callback of its own
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor not in ("epoch", "step"):
            yield option, monitor
    scheduler = model.hparams["scheduler"] or {}
    if monitor := (scheduler.get("init_args") or {}).get("monitor"):
        yield "--model.scheduler.monitor", monitor


def _logged(model: LightningModule, data: Any) -> list[str]:
    """Return the metrics logged by fit; an empty list if the model overrides its steps."""
    shared = next(cls for cls in type(model).__mro__ if cls.__module__ == "src.models.base")
    if any(getattr(type(model), step) is not getattr(shared, step) for step in STEPS):
        return []
    score = "mse" if data.num_classes is None else "acc"
    return ["train/loss", f"train/{score}", "train/lr", "val/loss", f"val/{score}"]
