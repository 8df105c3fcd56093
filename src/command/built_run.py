"""Builds what a command needs: model, data, trainer and loggers, and the folder of the run."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.model_helpers import is_overridden

from src.callbacks.progress import screen_callbacks
from src.callbacks.trackers import check_one_of_each, one_at_a_time
from src.command.checks import (
    check,
    check_accelerator,
    check_callbacks,
    check_launch,
    check_processes,
    uses_gpu,
    warn_of_replaced,
)
from src.command.flags import ExperimentFlags
from src.command.quiet import quieten_evaluation
from src.command.run_folder import (
    experiment_name,
    is_rank_zero,
    new_run_folder,
    own_folders,
    place_checkpoints,
)
from src.command.run_loggers import brought, runs_folder
from src.command.threads import use_threads
from src.command.untrained import Untrained, place
from src.data import TensorData
from src.errors import UserError
from src.models import Model
from src.runs.checkpoint_io import SafeCheckpointIO
from src.runs.curves_file import CurvesFile
from src.runs.folders import claim
from src.runs.settings import specs
from src.training.epoch_loop import EpochLoop
from src.training.internals import keep_signal_handlers


class BuiltRun(ExperimentFlags):
    """Builds model, data and trainer of a command, after checks of its settings.

    Attributes:
        given: The words of the command.
        folder: The folder of `--resume` or `--run`, if one was given.
        ckpt_path: The checkpoint to start from or to evaluate.
        purge_step: The step from which a resumed run continues its curves.
        stack: Keeps the locks of run folders until the command ends.
    """

    given: list[str]
    folder: Path | None
    ckpt_path: str | None
    purge_step: int
    stack: ExitStack

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        config.ckpt_path = self.ckpt_path
        use_threads(config)
        check_accelerator(str(config.trainer.accelerator))
        check_processes(config.trainer.devices)
        if self.subcommand != "fit":
            quieten_evaluation()
        if config.trainer.enable_checkpointing is False:  # else Lightning refuses ModelCheckpoint
            self.parsers[str(self.subcommand)].callback_keys.remove("checkpoint")
        self.trainer_defaults["callbacks"] += screen_callbacks(
            config.trainer, config.checkpoint.monitor
        )

    def instantiate_classes(self) -> None:
        loggers = specs(self.config[self.subcommand].trainer.logger)
        check_one_of_each(loggers)
        with one_at_a_time(loggers):
            super().instantiate_classes()
        check_launch(self.trainer)
        check(self.trainer, self.model, self.datamodule, str(self.subcommand))
        if self.subcommand == "fit":
            check_callbacks(self.trainer, self.model, bool(self.ckpt_path))
            if is_rank_zero():
                warn_of_replaced(self.given, self.model.hparams["scheduler"])

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        settings = self.config_init[self.subcommand].trainer
        given = settings.plugins or []
        kwargs["plugins"] = [SafeCheckpointIO(), *(given if isinstance(given, list) else [given])]
        self.untrained = Untrained(self.model, settings.callbacks)
        if folder := self._run_folder():
            kwargs["logger"] = self._loggers(folder)
        if settings.deterministic is None and uses_gpu(settings.accelerator):
            kwargs["deterministic"] = "warn"  # or the convolutions of two equal runs differ
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (MisconfigurationException, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"The trainer refuses its settings: {error}") from error
        trainer.run_folder = folder
        trainer.callbacks.sort(key=place)
        if settings.profiler and folder and not trainer.profiler.filename:
            trainer.profiler.filename = "profile"  # in the run folder; the default is not shown
        if settings.limit_val_batches == 0:
            trainer.limit_val_batches = 0  # overfit_batches has replaced it
        if self.subcommand == "fit" and is_rank_zero():
            for own_folder in own_folders(trainer):
                claim(own_folder, bool(self.folder), self.stack)
        if folder:
            place_checkpoints(trainer, folder)
        keep_signal_handlers(trainer)
        own = is_overridden("training_step", self.model, Model)
        own |= is_overridden("train_dataloader", self.datamodule, TensorData)
        trainer.fit_loop.epoch_loop = EpochLoop(trainer, own)
        if self.subcommand == "fit" and self._leaves_files():
            trainer.loggers.append(CurvesFile(trainer, folder, self.purge_step))
        return trainer

    def _leaves_files(self) -> bool:
        settings = self.config[self.subcommand].trainer
        return not settings.fast_dev_run and bool(
            settings.logger or settings.enable_checkpointing is not False
        )

    def _run_folder(self) -> Path | None:
        """Return the folder of this run; None if it leaves no files, or another process knows."""
        command, config = str(self.subcommand), self.config[self.subcommand]
        if not self._leaves_files() or not is_rank_zero():
            return None
        if command == "fit" and self.folder:
            return self.folder
        root, version = runs_folder(config, experiment_name(config))
        return new_run_folder(command, self.folder, root, version, self.stack)

    def _loggers(self, folder: Path) -> list[Logger]:
        """Return the loggers, with the run folder as theirs."""
        built = self.config_init[self.subcommand].trainer.logger
        loggers = built if isinstance(built, list) else [built] * bool(built)
        trains, given = self.subcommand == "fit", self.config[self.subcommand].trainer.logger
        purge_step = self.purge_step if trains and self.folder else None
        return brought(loggers, given, folder, purge_step, trains)
