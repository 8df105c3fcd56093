"""The run's record: what was run, on what, how long it took and what came out."""

import json
import shlex
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from src.files import write_whole
from src.provenance import device_name, git_state, versions


class RunRecord(Callback):
    """Gathers metrics and times, and writes `results.json` into the run folder after fit and test.

    Beside the results stand the command, seed, data source, versions, device and git commit that
    it takes to repeat the run.
    """

    def __init__(self, args: Any = None) -> None:
        words = sys.argv[1:] if args is None else [str(word) for word in args]
        self.commands = [shlex.join(["python", "-m", "src.cli", *words])]  # and those of resuming
        self.resumes = any(word.partition("=")[0] == "--resume" for word in words)
        self.started = time.perf_counter()
        self.fit_seconds = 0.0
        self.epoch_seconds: list[float] = []  # of training, without validation
        self.part_seconds = 0.0  # of an epoch that a resumed run has behind it
        self.samples = self.epochs = self.steps = self.tested = 0
        self.metrics: dict[str, float] = {}
        self.results: dict[str, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = time.perf_counter()
        self._fit_started = now - self.fit_seconds
        # A run resumed within an epoch, and a sanity check, come before the start of an epoch.
        self._epoch_started, self._validating = now - self.part_seconds, 0.0
        # Other callbacks choose by what was measured before, which Lightning forgets on resuming.
        for name, value in self.metrics.items():
            trainer._logger_connector._callback_metrics[name] = torch.tensor(value)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_started, self._validating = time.perf_counter(), 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.samples += len(batch[1]) * trainer.world_size

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation_started = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._validating += time.perf_counter() - self._validation_started

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epoch_seconds.append(self._since_epoch_start())

    def _since_epoch_start(self) -> float:
        return time.perf_counter() - self._epoch_started - self._validating

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._note_metrics(trainer)
        checkpoint["record"] = {
            "metrics": dict(self.metrics), "samples": self.samples,
            "fit_seconds": time.perf_counter() - self._fit_started,
            "epoch_seconds": list(self.epoch_seconds), "part_seconds": self._since_epoch_start(),
            "commands": list(self.commands), "total_seconds": time.perf_counter() - self.started,
        }  # fmt: skip

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        record = dict(checkpoint["record"])
        commands, seconds = record.pop("commands", []), record.pop("total_seconds", 0.0)
        vars(self).update(record)
        if self.resumes:  # and is no new run from the checkpoint of another
            self.commands, self.started = commands + self.commands, self.started - seconds

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.fit_seconds = time.perf_counter() - self._fit_started
        self.epochs, self.steps = trainer.current_epoch, trainer.global_step
        checkpoint = getattr(trainer.checkpoint_callback, "best_model_path", None)
        self._write(trainer, pl_module, checkpoint)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.tested = 0

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.tested += len(batch[1])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, pl_module, trainer.ckpt_path)

    def _write(self, trainer: Trainer, model: LightningModule, checkpoint: Any) -> None:
        folder = trainer.log_dir  # on every process: it is told by the first
        tested = torch.tensor(float(self.tested), device=trainer.strategy.root_device)
        self.tested = int(trainer.strategy.reduce(tested, reduce_op="sum"))
        self._note_metrics(trainer)
        if not trainer.is_global_zero:
            return
        self.results = self._results(trainer, model, folder, str(checkpoint or "") or None)
        if trainer.logger and folder:
            write_whole(Path(folder, "results.json"), json.dumps(self.results, indent=2) + "\n")

    def _note_metrics(self, trainer: Trainer) -> None:
        self.metrics |= {k: float(v) for k, v in trainer.callback_metrics.items() if "/" in k}

    def _results(
        self, trainer: Trainer, model: LightningModule, folder: str | None, checkpoint: str | None
    ) -> dict[str, Any]:
        trained = self.epochs > 0
        return {
            "config": Path(folder).parent.name if folder else None,
            "command": self.commands[0],
            "resumed_by": self.commands[1:],
            "model": type(model).__name__,
            "dataset": trainer.datamodule.describe(),
            "seed": trainer.datamodule.seed,
            "metrics": self.metrics,
            "tested": self.tested,
            "best_checkpoint": checkpoint,
            "epochs": self.epochs if trained else None,
            "steps": self.steps if trained else None,
            "parameters": sum(p.numel() for p in model.parameters()),
            "seconds": self._seconds(),
            "samples_per_second": self._speed(),
            "device": device_name(model.device),
            "precision": str(trainer.precision),
            "versions": versions(),
            "git": git_state(),
        }

    def _seconds(self) -> dict[str, float | None]:
        """Return the time of fit, of training alone, of its median epoch, and of the whole."""
        times = {"fit": self.fit_seconds, "train": sum(self.epoch_seconds)}
        times["epoch"] = median(self.epoch_seconds[1:] or self.epoch_seconds or [0])  # warm
        known = {name: round(t, 3) if self.epochs else None for name, t in times.items()}
        return known | {"total": round(time.perf_counter() - self.started, 3)}

    def _speed(self) -> float | None:
        seconds = sum(self.epoch_seconds)
        return round(self.samples / seconds, 1) if seconds else None
