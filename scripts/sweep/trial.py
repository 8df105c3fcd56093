"""The process of a trial: `fit` without its test, which reports to the worker after each epoch."""

from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import src.libraries  # noqa: F401  (first)

# isort: split
from lightning.pytorch import Callback, LightningModule, Trainer

from src.cli import main as linenet
from src.command.experiment import ExperimentCLI
from src.training.finite import NotFinite


class Report(NamedTuple):
    """What a trial tells its worker: the metric after some epochs, and whether these were all."""

    epochs: int
    value: float
    last: bool


class Diverged(NamedTuple):
    """What a trial tells its worker when its loss or weights have become infinite or NaN."""

    message: str


class Ended(NamedTuple):
    """What a trial tells its worker at its end: the metric of the checkpoint that is kept."""

    value: float


class Monitored(Callback):
    """Names the metric by which trials are compared: `fit` refuses one that is never logged.

    Args:
        monitor: The name of the metric.
    """

    option = "--metric"

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor


class Reports(Monitored):
    """Tells the metric to the worker after each epoch, and stops if the worker says so.

    Args:
        connection: A pipe to the worker, which answers whether to stop.
        monitor: The name of the metric.
    """

    def __init__(self, connection: Connection, monitor: str) -> None:
        super().__init__(monitor)
        self.connection = connection

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        if trainer.sanity_checking or batches < trainer.num_training_batches:  # within an epoch
            return
        epochs = trainer.fit_loop.epoch_progress.current.ready
        value = float(trainer.callback_metrics[self.monitor])
        self.connection.send(Report(epochs, value, epochs == trainer.max_epochs))
        if self.connection.recv():
            trainer.should_stop = True

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if isinstance(exception, NotFinite):
            self.connection.send(Diverged(str(exception).splitlines()[0]))


class TrialCLI(ExperimentCLI):
    """Runs `fit` with reports, and never the test set: settings are chosen by validation."""

    def __init__(self, connection: Connection, *args: Any) -> None:
        self.connection = connection
        super().__init__(*args)

    def before_instantiate_classes(self) -> None:
        super().before_instantiate_classes()
        reports = Reports(self.connection, self.config.fit.checkpoint.monitor)
        self.trainer_defaults["callbacks"].append(reports)

    def after_fit(self) -> None:
        """Tell the result, instead of testing. Without checkpoints, the last weights count."""
        chosen = getattr(self.trainer.checkpoint_callback, "best_model_score", None)
        last = self.trainer.callback_metrics[str(self.config.fit.checkpoint.monitor)]
        self.connection.send(Ended(float(last if chosen is None else chosen)))


def train(words: Sequence[str], connection: Connection) -> None:
    """Train a trial.

    Args:
        words: The words of `fit`.
        connection: A pipe to the worker.
    """
    linenet(["fit", *words], cli=partial(TrialCLI, connection))


def train_and_test(words: Sequence[str]) -> None:
    """Train with the best settings, and test."""
    linenet(["fit", *words])
