"""The run's record: what was run, on what, how long it took and what came out."""

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from src.files import write_whole
from src.provenance import device_name, git_state, versions


class RunRecord(Callback):
    """Gathers metrics and times, and writes `results.json` into the run folder after fit and test.

    Beside the results stand the command, seed, data source, versions, device and git commit that
    it takes to repeat the run.
    """

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.fit_seconds = self.train_seconds = 0.0
        self.samples = self.epochs = self.steps = 0
        self.metrics: dict[str, float] = {}
        self.results: dict[str, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._fit_started = time.perf_counter()

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
        else:
            self._gather(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.train_seconds += time.perf_counter() - self._epoch_started - self._validating

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.fit_seconds = time.perf_counter() - self._fit_started
        self.epochs, self.steps = trainer.current_epoch, trainer.global_step
        self._gather(trainer)
        self._write(trainer, pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._gather(trainer)
        self._write(trainer, pl_module)

    def _gather(self, trainer: Trainer) -> None:
        named = {k: float(v) for k, v in trainer.callback_metrics.items() if "/" in k}
        self.metrics |= named

    def _write(self, trainer: Trainer, model: LightningModule) -> None:
        folder = trainer.log_dir  # on every process: it is told by the first
        if not trainer.is_global_zero:
            return
        self.results = self._results(trainer, model, folder)
        if trainer.logger and folder:
            write_whole(Path(folder, "results.json"), json.dumps(self.results, indent=2) + "\n")

    def _results(
        self, trainer: Trainer, model: LightningModule, folder: str | None
    ) -> dict[str, Any]:
        checkpoint = trainer.checkpoint_callback
        seconds = {"fit": self.fit_seconds, "total": time.perf_counter() - self.started}
        speed = self.samples / self.train_seconds if self.train_seconds else None
        return {
            "config": Path(folder).parent.name if folder else None,
            "command": shlex.join(["python", "-m", "src.cli", *sys.argv[1:]]),
            "model": type(model).__name__,
            "dataset": trainer.datamodule.describe(),
            "seed": trainer.datamodule.seed,
            "metrics": self.metrics,
            "best_checkpoint": trainer.ckpt_path or getattr(checkpoint, "best_model_path", None),
            "epochs": self.epochs,
            "steps": self.steps,
            "parameters": sum(p.numel() for p in model.parameters()),
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "samples_per_second": round(speed, 1) if speed else None,
            "device": device_name(model.device),
            "precision": str(trainer.precision),
            "versions": versions(),
            "git": git_state(),
        }
