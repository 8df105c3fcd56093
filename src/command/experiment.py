"""Runs one command: training and the test of its best checkpoint, or the evaluation of a run."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import distributed

from src.callbacks import (
    Agreement,
    FiniteGuard,
    HParams,
    Identity,
    LayerHealth,
    OwnImagesReport,
    PartialGroups,
    PredictionWriter,
    Provenance,
    ResumePoints,
    RunConfig,
    RunRecord,
    StepSeed,
    Trackers,
    Unchanged,
)
from src.callbacks.progress import screen_callbacks
from src.callbacks.run_config import plain
from src.callbacks.trackers import one_at_a_time
from src.command.checks import (
    check,
    check_accelerator,
    check_callbacks,
    check_launch,
    check_processes,
    check_saved,
    uses_gpu,
    warn_of_replaced,
)
from src.command.config_files import read_strictly
from src.command.defaults import write_names
from src.command.failures import short_errors
from src.command.flags import ExperimentFlags
from src.command.local import with_local
from src.command.quiet import quieten, quieten_evaluation
from src.command.run_folder import (
    experiment_name,
    is_rank_zero,
    new_run_folder,
    own_folders,
    place_checkpoints,
)
from src.command.run_loggers import (
    brought,
    complete,
    drop_repeated,
    log_graph,
    runs_folder,
    specs,
    wants_graph,
)
from src.command.run_selection import Command, select_run
from src.command.signals import SignalHandlers
from src.command.threads import use_threads
from src.command.untrained import Untrained, place
from src.data import TensorData
from src.errors import UserError
from src.files import remove_leftovers
from src.imports import restrict_imports
from src.inference.own_images import OwnImages
from src.local_file import in_force
from src.models import Model
from src.runs.checkpoint_io import SafeCheckpointIO, read_checkpoint
from src.runs.checkpoints import check_class, data_state, identity_of, keep_classes, newest_intact
from src.runs.curves_file import CurvesFile
from src.runs.differences import differences
from src.runs.finished import stop_if_finished
from src.runs.folders import claim, locked
from src.runs.report import write_report
from src.runs.results import set_aside_results
from src.runs.summary import print_summary
from src.training.epoch_loop import EpochLoop
from src.training.internals import keep_signal_handlers, logger_step
from src.training.stop_request import StopRequest

# Settings that are excluded from the report: they do not belong to the experiment.
EXCLUDED = (
    "config", "ckpt_path", "resume", "run", "images", "report", "tag", "note", "folder", "threads",
    "trainer.logger",
)  # fmt: skip


class ExperimentCLI(ExperimentFlags):
    """Runs one command: `fit`, which ends with a test, or one that evaluates a trained run.

    Args:
        command: The command line.
        request: Says that the run is to stop.
        stack: Keeps the locks of run folders until the command ends.
    """

    def __init__(self, command: Command, request: StopRequest, stack: ExitStack) -> None:
        words, self.folder = select_run(command)  # the folder of --resume or --run
        self.given, self.stack = command.words, stack
        self.ckpt_path: str | None = None
        self.checkpoint: dict[str, Any] = {}  # content of the checkpoint to evaluate
        self.purge_step = 0  # the step from which a resumed run continues its curves
        resumes = self.folder is not None and command.name == "fit"
        self.record = RunRecord(command.words, resumes)
        self.identity, self.agreement = Identity(), Agreement()
        super().__init__(
            command.name,
            save_config_callback=RunConfig,
            save_config_kwargs={"save_to_log_dir": False},
            trainer_defaults={
                "callbacks": [
                    PredictionWriter(),  # before results.json, which ends a run
                    self.record,
                    Provenance(self.record.commands[0]),
                    Trackers(stack),
                    HParams(),
                    OwnImagesReport(),
                    StepSeed(),
                    FiniteGuard(),
                    PartialGroups(),
                    LayerHealth(),
                    Unchanged(),
                    self.identity,
                    self.agreement,
                    ResumePoints(request),
                ]
            },
            args=with_local(words),
        )

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse, then choose and read the checkpoint before anything is built."""
        super().parse_arguments(parser, args)
        command, config = self.config.subcommand, self.config[self.config.subcommand]
        config.tag = [*dict.fromkeys(config.tag)]  # a resumed run has some of them already
        self.record.tags, self.record.note = config.tag, config.note
        self.record.local = in_force(config.as_dict())
        complete(config.trainer, experiment_name(config), self.parsers[command])
        if self.folder:
            drop_repeated(config.trainer)
        self.choose_checkpoint(command, config)

    def choose_checkpoint(self, command: str, config: Namespace) -> None:
        """Set `ckpt_path`, and keep it from Lightning, which would let it override settings."""
        if command == "fit" and self.folder:
            config.ckpt_path = self._resume_from(self.folder, config)
        self.ckpt_path, config.ckpt_path = config.ckpt_path, None
        self.agreement.checkpoint = self.ckpt_path
        if self.ckpt_path:
            checkpoint = read_checkpoint(Path(self.ckpt_path))
            check_class(checkpoint, self.ckpt_path, config.model.class_path)
            if command == "fit":
                self.identity.saved = identity_of(checkpoint, self.ckpt_path)
                self.purge_step = logger_step(checkpoint)
            else:
                self.checkpoint = checkpoint
                keep_classes(config.data, checkpoint)
        elif command != "fit":
            raise UserError(
                f"{command} needs a run, or it would evaluate an untrained model.\n"
                "Give --run lightning_logs/NAME/version_N, or --config and --ckpt_path FILE."
            )

    def _resume_from(self, folder: Path, config: Namespace) -> str | None:
        """Return the newest resume checkpoint; without one, the checkpoint the run started from."""
        if is_rank_zero():
            self.stack.enter_context(locked(folder))
            remove_leftovers(folder)
        stop_if_finished(folder, plain(self.parsers["fit"], config))
        newest = newest_intact(folder / "checkpoints")
        if is_rank_zero():
            print(f"Resuming {folder} from {newest.name if newest else 'its start'}.")
        return str(newest) if newest else config.ckpt_path

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
        with one_at_a_time(specs(self.config[self.subcommand].trainer.logger)):
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

    def before_fit(self) -> None:
        """Validate the run identity before anything is written into the folder of a resumed run."""
        if self.identity.saved:
            self.datamodule.prepare_data()
            self.datamodule.setup("fit")
            self.identity.compare(self.trainer, self.model, self.datamodule)
        if self.folder and is_rank_zero():
            set_aside_results(self.folder)
        if wants_graph(self.config.fit.trainer.logger) and is_rank_zero():
            log_graph(self.trainer, self.model.net, self.datamodule.input_shape)

    def before_predict(self) -> None:
        """Replace the test set by own images, if some were given."""
        config = self.config.predict
        if config.images:
            own, path = OwnImages(config.images, self.datamodule), Path(config.ckpt_path)
            own.data.load_state_dict(data_state(self.checkpoint, own.data, path))
            own.setup()  # fails here, before anything is written, if no image can be read
            self.datamodule = own

    def after_predict(self) -> None:
        """Exit with code 1 if some files could not be read, or their prediction not be trusted."""
        if isinstance(self.datamodule, OwnImages) and is_rank_zero():
            self.datamodule.report_failures()

    def after_fit(self) -> None:
        """Test the checkpoint that validation chose, once, as `test --run` would."""
        check_saved(self.trainer)
        best = getattr(self.trainer.checkpoint_callback, "best_model_path", None)
        model = self.untrained.put_into(self.trainer) if best else self.model
        self.test(model, self.datamodule, ckpt_path=best or None)

    def test(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        self.trainer.test(model, datamodule, **{**kwargs, "verbose": False})
        self._print_results()

    def validate(
        self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any
    ) -> None:
        self.trainer.validate(model, datamodule, **{**kwargs, "verbose": False})
        self._print_results()

    def _print_results(self) -> None:
        folder = self.trainer.log_dir
        if self.trainer.is_global_zero:
            print_summary(self.record.results, folder, self._report(folder))

    def _report(self, folder: str | None) -> Path | None:
        """Write the report of fit and test, if it is wanted and there is a folder for it."""
        config = self.config[self.subcommand]
        if not folder or not config.report or self.subcommand == "validate":
            return None
        defaults = self.parsers[str(self.subcommand)].get_defaults()
        changes = differences(config.as_dict(), defaults.as_dict())
        shown = {name: pair for name, pair in changes.items() if not name.startswith(EXCLUDED)}
        return write_report(Path(folder), self.record.results, shown)


def leave_processes() -> None:
    """Leave the group of processes; a process that ends with its connections open may crash."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def run_command(command: Command, cli: Callable[..., Any] = ExperimentCLI) -> None:
    """Run a command; print errors of the user without a traceback, and handle signals.

    Args:
        command: The command line.
        cli: The class that runs it.
    """
    request = StopRequest()
    with SignalHandlers(request):
        run_in_turn(command, cli, request)


def run_in_turn(command: Command, cli: Callable[..., Any], request: StopRequest) -> None:
    """Run a command where the caller handles signals, and may run others meanwhile.

    Args:
        command: The command line.
        cli: The class that runs it.
        request: Says that the run is to stop.
    """
    with short_errors(), ExitStack() as stack:
        stack.callback(leave_processes)
        quieten()
        restrict_imports()
        read_strictly()
        write_names()
        cli(command, request, stack)
