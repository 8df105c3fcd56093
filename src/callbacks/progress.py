"""What a run shows while it trains: a progress bar in a terminal, else a line for each epoch."""

import shutil
import sys
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichModelSummary, TQDMProgressBar
from rich.console import Console
from rich.table import Column, Table

from src.callbacks.best_checkpoint import BestCheckpoint
from src.callbacks.time_left import TimeLeft, in_words
from src.training.listeners import ListensSometimes

NARROW = 100  # columns of a terminal; below, the bar shows one metric


class EpochBar(ListensSometimes, TQDMProgressBar):
    """A bar for each epoch with step, time, metrics, the best validation and the time left.

    In a narrow terminal it shows one metric, its best value and the time left of all epochs.

    Args:
        monitor: The metric to show where there is room for one; by default the last one logged.
    """

    BAR_FORMAT = "{desc} |{bar}| {n_fmt}/{total_fmt} {elapsed}{postfix}"

    def __init__(self, monitor: str | None = None) -> None:
        super().__init__(refresh_rate=50)
        self.monitor = monitor
        self.time_left: TimeLeft | None = None

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        super().on_train_start(trainer)
        self.time_left = TimeLeft(trainer)

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {counted(trainer)}")

    def on_stretch_end(self, trainer: Trainer, samples: int) -> None:
        bar = self.train_progress_bar
        bar.n = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        bar.set_postfix(self.get_metrics(trainer, trainer.lightning_module))

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)  # the run folder is printed at the end
        if metrics and shutil.get_terminal_size().columns < NARROW:
            name = self.monitor if self.monitor in metrics else [*metrics][-1]
            metrics = {name: metrics[name]}
        seconds = self.time_left.seconds(trainer) if self.time_left else None
        left = {} if seconds is None else {"left": in_words(seconds)}
        return metrics | best_so_far(trainer) | left


class EpochLines(ProgressBar):
    """Prints a line after each epoch, with the time left, for output that goes to a file."""

    def __init__(self) -> None:
        super().__init__()
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Also here, since a run resumed within an epoch does not start one.
        self.time_left = TimeLeft(trainer)
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started, self.validated = time.perf_counter(), False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not (self.enabled and trainer.is_global_zero):
            return
        values = [
            f"{name} {float(v):.4g}"
            for name, v in trainer.progress_bar_metrics.items()
            if self.validated or not name.startswith("val/")  # else of an earlier epoch
        ]
        values += [f"{name} {value:.4g}" for name, value in best_so_far(trainer).items()]
        seconds, left = time.perf_counter() - self.started, self.time_left.seconds(trainer)
        values += [f"{seconds:.1f} s", *([f"{in_words(left)} left"] if left else [])]
        print(", ".join([f"epoch {counted(trainer)}", *values]), flush=True)


def best_so_far(trainer: Trainer) -> dict[str, float]:
    """Return the best value yet of the metric that checkpoints are chosen by, as `best`."""
    saver = trainer.checkpoint_callback
    if not isinstance(saver, BestCheckpoint) or not saver.monitor:
        return {}
    values = (saver.best_model_score, trainer.callback_metrics.get(saver.monitor))
    known = [float(value) for value in values if value is not None]
    return {"best": (min if saver.mode == "min" else max)(known)} if known else {}


def counted(trainer: Trainer) -> str:
    """Return the number of the current epoch, from 1, and of all epochs if there is a limit."""
    limit = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
    return f"{trainer.current_epoch + 1}{limit}"


class LayerTable(RichModelSummary):
    """Prints the layers with their parameters, without columns that are the same in every row."""

    @staticmethod
    def summarize(
        summary_data: list[tuple[str, list[str]]], total_parameters: int, *_: Any, **__: Any
    ) -> None:
        columns = dict(summary_data)
        table = Table("layer", "type", Column("parameters", justify="right"))
        for row in zip(*(columns[name] for name in ("Name", "Type", "Params")), strict=True):
            table.add_row(*row)
        table.caption = f"{total_parameters:,} parameters"
        Console().print(table)


def screen_callbacks(trainer: Any, monitor: str | None) -> list[Callback]:
    """Return a progress bar and a table of the layers, unless switched off or chosen by the user.

    Args:
        trainer: The settings of the trainer.
        monitor: The metric that checkpoints are chosen by.
    """
    chosen = str(trainer.callbacks)
    found: list[Callback] = []
    if trainer.enable_progress_bar is not False and "ProgressBar" not in chosen:
        found.append(EpochBar(monitor) if sys.stdout.isatty() else EpochLines())
    if trainer.enable_model_summary is not False and "ModelSummary" not in chosen:
        found.append(LayerTable(max_depth=2))
    return found
