"""Checkpoints from which a run goes on as if it had never stopped, and the stop itself."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from src.checkpoints import RESUME, relocate, resume_files
from src.signals import StopSignals

SECONDS = 3.0  # of training that a killed run repeats at most
SHARE = 100  # of the time a checkpoint takes lies between two, so that it costs 1 % at most


class ResumePoints(Callback):
    """Saves a checkpoint at the start, every few seconds and at the end; stops a run if told to.

    Always between two steps or two epochs, when all that was logged is written and nothing is half
    done: Lightning, going on from within a step or from just before a validation, would repeat or
    leave out something. A validation that has begun is finished first. The last two are kept, so
    that there is one if the newest is damaged.

    Args:
        signals: Tells that the run is to stop.
    """

    def __init__(self, signals: StopSignals) -> None:
        self.signals = signals

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        saving = trainer.logger and trainer.checkpoint_callbacks and not trainer.fast_dev_run
        self.folder = Path(str(trainer.log_dir), "checkpoints") if saving else None
        saved = self.folder and (self.folder / RESUME.format(step=trainer.global_step)).exists()
        self.saved_step = trainer.global_step if saved else -1
        self.due = time.monotonic() + SECONDS if saved else 0.0
        self.signals.training = True
        self.alone = trainer.world_size == 1
        # Lightning would leave out ReduceLROnPlateau until the epoch after this.
        vars(trainer.fit_loop)["_restarting"] = False
        if self.folder and trainer.is_global_zero:
            for path in resume_files(self.folder):  # found damaged, or it would be in use
                if path.name > RESUME.format(step=self.saved_step):
                    path.rename(path.with_suffix(".damaged"))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.fit_loop.epoch_loop.batch_progress.reset_on_run()  # a bit earlier than Lightning
        with not_begun(trainer.fit_loop.epoch_progress):
            self._pause(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.alone and not self._wish():
            return
        if is_between_steps(trainer, batch_idx):
            with not_begun(trainer.fit_loop.epoch_loop.batch_progress):
                self._pause(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for due in (0.0, float("inf")):  # the second time for a signal that came while it saved
            self.due = due
            self._pause(trainer)
        self.signals.training = False

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self.signals.training = False

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["stopped_early"] = trainer.should_stop  # which Lightning forgets

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            trainer.should_stop = checkpoint["stopped_early"]
            # Lightning takes a run up to max_steps for cut off within an epoch, always.
            vars(trainer.fit_loop)["_iteration_based_training"] = lambda: False
        relocate(checkpoint, Path(str(trainer.ckpt_path)), trainer.checkpoint_callback)

    def _wish(self) -> float:
        """Return what this process wants: the number of a signal, else 0.5 to save, or 0."""
        return float(self.signals.received) or (0.5 if time.monotonic() >= self.due else 0.0)

    def _pause(self, trainer: Trainer) -> None:
        """Save and stop if any process wants it."""
        wish = torch.tensor(self._wish(), device=trainer.strategy.root_device)
        agreed = trainer.strategy.reduce(wish, reduce_op="max").item()
        if agreed and self.folder and trainer.global_step > self.saved_step:
            self._save(trainer, self.folder)
        if agreed >= 1:
            self._stop(trainer, int(agreed))

    def _save(self, trainer: Trainer, folder: Path) -> None:
        began = time.monotonic()
        for logger in trainer.loggers:
            logger.save()  # curves must not end before the checkpoint does
        path = folder / RESUME.format(step=trainer.global_step)
        trainer.save_checkpoint(path)
        self.saved_step, now = trainer.global_step, time.monotonic()
        self.due = now + max(SECONDS, SHARE * (now - began))
        if trainer.is_global_zero:
            for older in resume_files(folder)[:-2]:
                older.unlink()

    def _stop(self, trainer: Trainer, number: int) -> None:
        if not trainer.is_global_zero:
            raise SystemExit(0)  # Lightning would take more for a crash, and kill the first process
        print(f"Stopped by {signal.Signals(number).name} after step {trainer.global_step}.")
        if self.folder:
            print(f"To go on: python -m src.cli fit --resume {self.folder.parent}", file=sys.stderr)
        raise SystemExit(128 + number)


@contextmanager
def not_begun(progress: Any) -> Iterator[None]:
    """While saving, count the step or epoch that is about to begin as not begun."""
    counters = progress.total, progress.current
    for counter in counters:
        counter.ready -= 1
    try:
        yield
    finally:
        for counter in counters:
            counter.ready += 1


def is_between_steps(trainer: Trainer, batch_idx: int) -> bool:
    """Return whether so many batches of an epoch end a step, with no validation right behind."""
    every = trainer.val_check_batch
    by_epoch = trainer.check_val_every_n_epoch is not None
    batches = batch_idx if by_epoch else trainer.fit_loop.total_batch_idx
    return (
        batch_idx > 0
        and batch_idx % trainer.accumulate_grad_batches == 0
        and not (every and batches % every == 0)
    )
