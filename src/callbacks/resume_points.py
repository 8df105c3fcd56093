"""Saves the checkpoints that `--resume` starts from, and stops the run when asked to."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ProgressBar, StochasticWeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.model_helpers import is_overridden

from src.places import NAME
from src.runs.checkpoints import RESUME, relocate, resume_files
from src.training.internals import end_restart, resume_at_epoch_start
from src.training.listeners import ListensSometimes
from src.training.stop_request import StopRequest

SECONDS = 3.0  # between two checkpoints: at most so much training is lost when a run is killed
SHARE = 100  # or so many times the duration of saving, if longer: it costs at most 1 %


class ResumePoints(ListensSometimes):
    """Saves a checkpoint at the start, every few seconds and at the end; stops a run on request.

    It is the first of the callbacks: none has changed the weights for its own use yet.

    It always saves between two steps or two epochs, when everything logged is written and nothing
    is half done: Lightning would repeat or skip something when it resumes within a step or just
    before a validation. A validation under way is finished first. If a callback acts at the start
    of an epoch, it saves between epochs only: Lightning would not tell it when resuming. The last
    two checkpoints are kept, in case the newest is damaged.

    Args:
        request: Says that the run is to stop.
    """

    def __init__(self, request: StopRequest) -> None:
        self.request = request

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        place = trainer.log_dir
        self.folder = Path(place, "checkpoints") if place and trainer.checkpoint_callbacks else None
        saved = self.folder and (self.folder / RESUME.format(step=trainer.global_step)).exists()
        self.saved_step = trainer.global_step if saved else -1
        self.due = time.monotonic() + SECONDS if saved else 0.0
        self.request.training = True
        self.single_process = trainer.world_size == 1
        self.only_between_epochs = any(starts_epochs(callback) for callback in trainer.callbacks)
        end_restart(trainer)
        if self.folder and trainer.is_global_zero:
            for path in resume_files(self.folder):
                if path.name > RESUME.format(step=self.saved_step):  # damaged, or it would be used
                    path.rename(path.with_suffix(".damaged"))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.fit_loop.epoch_loop.batch_progress.reset_on_run()  # Lightning does so a bit later
        with not_begun(trainer.fit_loop.epoch_progress):
            self._save_or_stop(trainer)

    def unheard_steps(self, trainer: Trainer) -> float:
        return 0 if self.interrupts() else inf

    def interrupts(self) -> bool:
        """Return whether a checkpoint is due or a signal has come."""
        return bool(self._urgency()) and not self.only_between_epochs

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.only_between_epochs or (self.single_process and not self._urgency()):
            return
        if is_between_steps(trainer, batch_idx):
            with not_begun(trainer.fit_loop.epoch_loop.batch_progress):
                self._save_or_stop(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not ends_between_epochs(trainer):
            self.saved_step = trainer.global_step  # an earlier checkpoint leads to the same end
        for due in (0.0, float("inf")):  # the second time for a signal that came while saving
            self.due = due
            self._save_or_stop(trainer)
        self.request.training = False

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self.request.training = False

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["stopped_early"] = trainer.should_stop  # Lightning does not save it

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            trainer.should_stop = checkpoint["stopped_early"]
            resume_at_epoch_start(trainer)
        relocate(checkpoint, Path(str(trainer.ckpt_path)), trainer.checkpoint_callback)

    def _urgency(self) -> float:
        """Return the number of a signal received, else 0.5 if a checkpoint is due, else 0."""
        due = self.folder is not None and time.monotonic() >= self.due
        return float(self.request.signal) or (0.5 if due else 0.0)

    def _save_or_stop(self, trainer: Trainer) -> None:
        """Save, and stop, if any process has a reason to."""
        urgency = torch.tensor(self._urgency(), device=trainer.strategy.root_device)
        highest = trainer.strategy.reduce(urgency, reduce_op="max").item()
        if highest and self.folder and trainer.global_step > self.saved_step:
            self._save(trainer, self.folder)
        if highest >= 1:
            self._stop(trainer, int(highest))

    def _save(self, trainer: Trainer, folder: Path) -> None:
        began = time.monotonic()
        for logger in trainer.loggers:
            logger.save()  # the curves must reach at least as far as the checkpoint
        path = folder / RESUME.format(step=trainer.global_step)
        trainer.save_checkpoint(path)
        self.saved_step, now = trainer.global_step, time.monotonic()
        self.due = now + max(SECONDS, SHARE * (now - began))
        if trainer.is_global_zero:
            for older in resume_files(folder)[:-2]:
                older.unlink()

    def _stop(self, trainer: Trainer, number: int) -> None:
        if not trainer.is_global_zero:
            raise SystemExit(0)  # Lightning would take another code for a crash, and kill rank 0
        print(f"Stopped by {signal.Signals(number).name} after step {trainer.global_step}.")
        if self.folder:
            command = f"python -m src.cli fit --resume {self.folder.parent}"
            print(f"To resume: {command}", file=sys.stderr)
        raise SystemExit(128 + number)


def starts_epochs(callback: Callback) -> bool:
    """Return whether a callback of the user changes something at the start of an epoch."""
    harmless = isinstance(callback, ProgressBar | LearningRateMonitor)
    ours = type(callback).__module__.startswith(f"{NAME}.")
    return is_overridden("on_train_epoch_start", callback) and not harmless and not ours


def ends_between_epochs(trainer: Trainer) -> bool:
    """Return whether the state at the end of training is one from which more epochs can be trained.

    It is not if training ended within an epoch or was stopped early, which a longer run may not be,
    nor if the end replaces the weights, which would not be done again.
    """
    averaged = any(isinstance(one, StochasticWeightAveraging) for one in trainer.callbacks)
    complete = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
    return complete and not trainer.should_stop and not averaged


@contextmanager
def not_begun(progress: Any) -> Iterator[None]:
    """Count the step or epoch that is about to begin as not begun, while a checkpoint is saved."""
    counters = progress.total, progress.current
    for counter in counters:
        counter.ready -= 1
    try:
        yield
    finally:
        for counter in counters:
            counter.ready += 1


def is_between_steps(trainer: Trainer, batch_idx: int) -> bool:
    """Return whether this batch begins a new step and no validation is due before it."""
    every = trainer.val_check_batch
    by_epoch = trainer.check_val_every_n_epoch is not None
    batches = batch_idx if by_epoch else trainer.fit_loop.total_batch_idx
    return (
        batch_idx > 0
        and batch_idx % trainer.accumulate_grad_batches == 0
        and not (every and batches % every == 0)
    )
