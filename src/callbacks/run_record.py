"""Records a run: command, data, versions, times and metrics, as `results.json`."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.trainer.states import TrainerFn

from src.arguments import as_typed
from src.files import write_whole
from src.runs.code_state import git_state
from src.runs.find import training_of
from src.runs.provenance import device_name, versions
from src.training.epoch_loop import EpochLoop
from src.training.listeners import ListensSometimes


class RunRecord(ListensSometimes):
    """Collects metrics and times, and writes `results.json` after fit, test and validate.

    The file also holds what is needed to repeat the run: command, seed, data source, versions,
    device and git commit.

    Args:
        words: The words of the command; by default those of the command line.
        resumes: Whether the command resumes a run.
    """

    def __init__(self, words: Sequence[str] | None = None, resumes: bool = False) -> None:
        words = sys.argv[1:] if words is None else words
        self.commands = [as_typed(words)]  # then those resuming it
        self.resumes = resumes
        self.tags: list[str] = []
        self.note: str | None = None
        self.local: dict[str, str] = {}  # settings of this machine, from configs/local.yaml
        self.started = time.perf_counter()
        self.fit_seconds = 0.0
        self.epoch_seconds: list[float] = []  # of training only, without validation
        self.part_seconds = 0.0  # of the epoch within which a resumed run starts
        self.samples = self.epochs = self.steps = self.tested = self.validated = 0
        self.validated_step = -1  # the step after which val/... was measured
        self.per_epoch, self.partial = 0.0, False  # samples; whether the last epoch was cut
        self.evaluated = 0  # samples of the current validation or test
        self.ended_by: str | None = None
        self.finished = False  # nothing is left to do
        self.steps_made: str | None = None  # in which way, by our loop
        self.metrics: dict[str, float] = {}
        self.results: dict[str, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = time.perf_counter()
        self._fit_started = now - self.fit_seconds
        # Also set here for a run that is resumed within an epoch, and for the sanity check.
        self._epoch_started, self._validating = now - self.part_seconds, 0.0
        # Other callbacks choose by earlier metrics, which Lightning does not restore on resuming.
        trainer.callback_metrics.update({k: torch.tensor(v) for k, v in self.metrics.items()})

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_started, self._validating = time.perf_counter(), 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.samples += len(batch[1]) * trainer.world_size

    def on_stretch_end(self, trainer: Trainer, samples: int) -> None:
        self.samples += samples

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation_started, self.evaluated = time.perf_counter(), 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.validated = self._total_evaluated(trainer)
            self.validated_step = trainer.global_step
        if trainer.state.fn == TrainerFn.FITTING:
            self._validating += time.perf_counter() - self._validation_started
        else:
            self._write(trainer, pl_module, trainer.ckpt_path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epoch_seconds.append(self._since_epoch_start())
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        self.partial = done < trainer.num_training_batches
        batches = trainer.num_training_batches if trainer.current_epoch else done
        self.per_epoch = batches * trainer.datamodule.batch_size * trainer.world_size

    def _since_epoch_start(self) -> float:
        return time.perf_counter() - self._epoch_started - self._validating

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._note_metrics(trainer)
        checkpoint["record"] = {
            "metrics": dict(self.metrics), "validated_step": self.validated_step,
            "per_epoch": self.per_epoch, "partial": self.partial,
            "samples": self.samples,
            "fit_seconds": time.perf_counter() - self._fit_started,
            "epoch_seconds": list(self.epoch_seconds), "part_seconds": self._since_epoch_start(),
            "commands": list(self.commands), "total_seconds": time.perf_counter() - self.started,
        }  # fmt: skip

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            self._take_validation(checkpoint)
            return
        record = dict(checkpoint["record"])
        commands, seconds = record.pop("commands", []), record.pop("total_seconds", 0.0)
        vars(self).update(record)
        if self.resumes:  # not a new run that starts from the checkpoint of another one
            self.commands, self.started = commands + self.commands, self.started - seconds

    def _take_validation(self, checkpoint: dict[str, Any]) -> None:
        """Replace the validation metrics of the last epoch by those of the checkpoint to test.

        One that was saved between two validations has none.
        """
        if not self.epochs:  # nothing was trained
            return
        record = checkpoint["record"]
        validated = record.get("validated_step") == checkpoint["global_step"]
        chosen = record["metrics"].items() if validated else []
        others = [(name, value) for name, value in self.metrics.items() if name[:4] != "val/"]
        self.metrics = dict([*others, *((k, v) for k, v in chosen if k.startswith("val/"))])

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.fit_seconds = time.perf_counter() - self._fit_started
        self.epochs, self.steps = trainer.current_epoch, trainer.global_step
        self.ended_by = ended_by(trainer)
        loop = trainer.fit_loop.epoch_loop
        self.steps_made = loop.steps_made() if isinstance(loop, EpochLoop) else None
        checkpoint = getattr(trainer.checkpoint_callback, "best_model_path", None)
        self._write(trainer, pl_module, checkpoint)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.evaluated += len(batch[1])

    on_test_batch_end = on_validation_batch_end

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.evaluated = 0

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.tested = self._total_evaluated(trainer)
        self.finished = True
        self._write(trainer, pl_module, trainer.ckpt_path)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the results of a run whose test is switched off by `limit_test_batches`."""
        if stage == "test" and trainer.limit_test_batches == 0:
            self.finished = True
            self._write(trainer, pl_module, trainer.ckpt_path)

    def _total_evaluated(self, trainer: Trainer) -> int:
        """Return the number of samples evaluated on all processes."""
        count = torch.tensor(float(self.evaluated), device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(count, reduce_op="sum"))

    def _write(self, trainer: Trainer, model: LightningModule, checkpoint: Any) -> None:
        folder = trainer.log_dir  # call it on every process: it is broadcast
        self._note_metrics(trainer)
        if not trainer.is_global_zero:
            return
        self.results = self._results(trainer, model, folder, str(checkpoint or "") or None)
        if folder:
            write_whole(Path(folder, "results.json"), json.dumps(self.results, indent=2) + "\n")

    def _note_metrics(self, trainer: Trainer) -> None:
        self.metrics |= {k: float(v) for k, v in trainer.callback_metrics.items() if "/" in k}

    def _results(
        self, trainer: Trainer, model: LightningModule, folder: str | None, checkpoint: str | None
    ) -> dict[str, Any]:
        trained = self.epochs > 0
        return {
            "config": training_of(Path(folder)).parent.name if folder else None,
            "command": self.commands[0],
            "resumed_by": self.commands[1:],
            "tags": self.tags,
            "note": self.note,
            "local": self.local,
            "model": type(model).__name__,
            "dataset": trainer.datamodule.describe(),
            "seed": trainer.datamodule.seed,
            "metrics": self.metrics,
            "partial_epoch": self.partial,
            "trained": self._trained(trainer.datamodule),
            "tested": self.tested,
            "validated": self.validated,
            "best_checkpoint": checkpoint,
            "epochs": self.epochs if trained else None,
            "steps": self.steps if trained else None,
            "ended_by": self.ended_by,
            "finished": self.finished,
            "steps_made": self.steps_made,
            "parameters": sum(p.numel() for p in model.parameters()),
            "seconds": self._seconds(),
            "samples_per_second": self._speed(),
            "device": device_name(model.device),
            "precision": str(trainer.precision),
            "versions": versions(),
            "git": git_state(),
        }

    def _trained(self, data: Any) -> int:
        """Return the number of samples trained on, fewer than there are if a limit is set."""
        size = len(data.splits["train"].indices) if "train" in data.splits else 0
        return int(min(size, self.per_epoch))

    def _seconds(self) -> dict[str, float | None]:
        """Return the seconds of fit, of training only, of the median epoch, and of the command."""
        times = {"fit": self.fit_seconds, "train": sum(self.epoch_seconds)}
        # The first epoch is left out if there are others: it takes longer.
        times["epoch"] = median(self.epoch_seconds[1:] or self.epoch_seconds or [0])
        known = {name: round(t, 3) if self.epochs else None for name, t in times.items()}
        return known | {"total": round(time.perf_counter() - self.started, 3)}

    def _speed(self) -> float | None:
        seconds = sum(self.epoch_seconds)
        return round(self.samples / seconds, 1) if seconds else None


def ended_by(trainer: Trainer) -> str | None:
    """Return what ended a training before max_epochs and max_steps, None if nothing did."""
    if not trainer.should_stop:
        return None
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    if any((timer.time_remaining() or 0) <= 0 for timer in timers):
        return "max_time"
    return next((type(one).__name__ for one in trainer.early_stopping_callbacks), "a callback")
