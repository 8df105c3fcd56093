"""The command line: what happens to a run from its command to its answer."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import RichModelSummary, TQDMProgressBar
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.model_helpers import is_overridden

from src.callbacks import (
    FiniteGuard,
    HParams,
    Identity,
    LayerHealth,
    OwnImagesTeller,
    PredictionWriter,
    ResumePoints,
    RunRecord,
    StepSeed,
)
from src.checkpoints import (
    SafeCheckpointIO,
    check_class,
    data_state,
    identity_of,
    logger_step,
    newest_intact,
    read_checkpoint,
)
from src.config_files import read_strictly
from src.contradictions import check, check_processes, check_saved
from src.curves import CurvesFile
from src.data import TensorData
from src.data.own_images import OwnImages
from src.errors import UserError
from src.files import remove_leftovers, write_whole
from src.flags import ExperimentFlags
from src.imports import restrict_imports
from src.loop import EpochLoop
from src.messages import in_words
from src.models import Model
from src.quiet import quieten, quieten_evaluation
from src.report import write_report
from src.runs import header, locked, make_folder, set_aside_results, stop_if_finished, with_config
from src.settings import differences
from src.signals import StopSignals
from src.summary import print_summary

# What is not of the experiment.
UNTOLD = ("config", "ckpt_path", "resume", "run", "images", "report", "trainer.logger")


class ExperimentCLI(ExperimentFlags):
    """Names run folders, goes on with runs, and tests what it trained."""

    def __init__(self, args: Sequence[str], signals: StopSignals, held: ExitStack) -> None:
        self.record, self.held = RunRecord(args), held
        words, self.resumed = with_config(list(args))
        self.version_given = any(
            "logger.version" in word or "args.version" in word for word in args
        )
        self.checkpoint: dict[str, Any] = {}  # that is judged
        self.identity, points = Identity(), ResumePoints(signals)
        self.purge_step = 0  # where a resumed run goes on with its curves
        super().__init__(
            save_config_callback=RunConfig,
            save_config_kwargs={"save_to_log_dir": False},
            trainer_defaults={
                "callbacks": [
                    self.record,
                    HParams(),
                    PredictionWriter(),
                    OwnImagesTeller(),
                    StepSeed(),
                    FiniteGuard(),
                    LayerHealth(),
                    self.identity,
                    points,
                ]
            },
            args=words,
        )

    def _parse_ckpt_path(self) -> None:
        """Choose and check the checkpoint; Lightning would let it overrule the command line."""
        subcommand = self.config.subcommand
        config = self.config[subcommand]
        if self.resumed:
            config.ckpt_path = self._resume_from(self.resumed, config)
        if config.ckpt_path:
            checkpoint = read_checkpoint(Path(config.ckpt_path))
            check_class(checkpoint, config.ckpt_path, config.model.class_path)
            if subcommand == "fit":
                self.identity.saved = identity_of(checkpoint, config.ckpt_path)
                self.purge_step = logger_step(checkpoint)
            else:
                self.checkpoint = checkpoint
        elif subcommand != "fit":
            raise UserError(
                f"{subcommand} needs a run, or it would judge an untrained model.\n"
                "Give --run lightning_logs/NAME/version_N, or --config and --ckpt_path FILE."
            )

    def _resume_from(self, folder: Path, config: Namespace) -> str | None:
        """Return the checkpoint to go on from; None if the run was killed before the first."""
        if is_first():
            self.held.enter_context(locked(folder))
            remove_leftovers(folder)
            stop_if_finished(folder, config.trainer)
        newest = newest_intact(folder / "checkpoints")
        if is_first():
            print(f"Going on with {folder} from {newest.name if newest else 'its start'}.")
        return str(newest) if newest else config.ckpt_path  # from which it began itself

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        check_processes(config.trainer.devices)
        if self.subcommand != "fit":
            quieten_evaluation()
        logger = config.trainer.logger
        if not logger:
            self.save_config_callback = None  # there is no run folder to save it into
        elif hasattr(logger, "init_args") and logger.init_args.get("name") is None:
            logger.init_args.name = experiment(config)
        if config.get("run") and hasattr(logger, "init_args") and not self.version_given:
            logger.init_args.version = None  # it was the name of the run that is judged
        if config.trainer.enable_checkpointing is False:  # or Lightning refuses ModelCheckpoint
            self._parser(self.subcommand).callback_keys.remove("checkpoint")
        self.trainer_defaults["callbacks"] += screen(config.trainer)

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        check(self.trainer, self.model, self.datamodule, str(self.subcommand))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        given = self._get(self.config_init, "trainer").plugins or []
        plugins = [SafeCheckpointIO(), *(given if isinstance(given, list) else [given])]
        try:
            trainer = super().instantiate_trainer(plugins=plugins, **kwargs)
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise UserError(f"The trainer refuses its settings: {error}") from error
        # Lightning's handler of SIGTERM ends a run with code 0, and several processes never.
        vars(trainer._signal_connector)["register_signal_handlers"] = lambda: None
        own_step = is_overridden("training_step", self.model, Model)
        if not own_step and not is_overridden("train_dataloader", self.datamodule, TensorData):
            trainer.fit_loop.epoch_loop.__class__ = EpochLoop
        if isinstance(trainer.logger, TensorBoardLogger):
            self._place(trainer.logger)
            if self.subcommand == "fit":
                trainer.loggers.append(CurvesFile(trainer, self.purge_step))
        return trainer

    def _place(self, logger: TensorBoardLogger) -> None:
        """Let the logger, and so checkpoints and all else, write into this run's folder."""
        folder = self.resumed
        if folder:
            logger._root_dir, logger._name = str(folder.parents[1]), folder.parent.name
            logger._kwargs["purge_step"] = self.purge_step  # later points were of lost work
        elif is_first():
            folder = make_folder(Path(logger.root_dir), logger._version, self.held)
        if folder:  # the other processes are told by the first
            logger._version = folder.name

    def before_fit(self) -> None:
        """Compare with the run to go on with before anything is written into its folder."""
        if self.identity.saved:
            self.datamodule.prepare_data()
            self.datamodule.setup("fit")
            self.identity.compare(self.trainer, self.model, self.datamodule)
        if self.resumed and is_first():
            set_aside_results(self.resumed)

    def before_predict(self) -> None:
        """Put images of the user's own, if there are, in place of the test set."""
        config = self.config.predict
        if config.images:
            own, path = OwnImages(config.images, self.datamodule), Path(config.ckpt_path)
            own.data.load_state_dict(data_state(self.checkpoint, own.data, path))
            own.setup()  # what cannot be read stops it before anything is written
            self.datamodule = own

    def after_predict(self) -> None:
        """Let the exit code tell if files could not be predicted."""
        if isinstance(self.datamodule, OwnImages) and is_first():
            self.datamodule.tell_skipped()

    def after_fit(self) -> None:
        """Test the checkpoint that validation chose, once."""
        check_saved(self.trainer)
        best = getattr(self.trainer.checkpoint_callback, "best_model_path", None)
        self.test(self.model, self.datamodule, ckpt_path="best" if best else None)

    def test(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        self.trainer.test(model, datamodule, **{**kwargs, "verbose": False})
        folder = self.trainer.log_dir if self.trainer.logger else None
        if self.trainer.is_global_zero:
            print_summary(self.record.results, folder, self._report(folder))

    def _report(self, folder: str | None) -> Path | None:
        """Write the page that tells the run, if it is wanted and there is a folder for it."""
        config = self.config[self.subcommand]
        if not folder or not config.report:
            return None
        defaults = self._parser(self.subcommand).get_defaults()
        changes = differences(config.as_dict(), defaults.as_dict())
        told = {name: pair for name, pair in changes.items() if not name.startswith(UNTOLD)}
        return write_report(Path(folder), self.record.results, told)


class RunConfig(SaveConfigCallback):
    """Writes `config.yaml`, which repeats the run, whole or not at all."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        config = self.config.clone()
        if config.pop("resume", None):
            config.ckpt_path = None
        config.pop("run", None)  # its config is in this one, and its checkpoint named
        text = header(TrainerFn(stage).value) + self.parser.dump(config, skip_none=False)
        write_whole(Path(str(trainer.loggers[0].log_dir), "config.yaml"), text)


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return getattr(rank_zero_only, "rank", 0) == 0


def experiment(config: Namespace) -> str:
    """Return the name of the first config file, over which others are laid, or of the model."""
    stem = Path(config.config[0]).stem if config.config else None
    return stem or config.model.class_path.split(".")[-1]


def screen(trainer: Any) -> list[Callback]:
    """Return a progress bar and a summary by layer, unless switched off or chosen."""
    chosen = str(trainer.callbacks)
    bar = trainer.enable_progress_bar is not False and "ProgressBar" not in chosen
    table = trainer.enable_model_summary is not False and "ModelSummary" not in chosen
    return [TQDMProgressBar(refresh_rate=50)] * bar + [RichModelSummary(max_depth=2)] * table


def main(args: Sequence[str] | None = None, cli: Callable[..., Any] = ExperimentCLI) -> None:
    """Run one command, e.g. `main(["fit", "--config", "configs/mnist_mlp.yaml"])`.

    Args:
        args: Its words; those of the command line by default.
        cli: What carries it out: a tool gives a subclass that does something else than `fit`.

    Raises:
        SystemExit: With code 2 for a wrong command, 1 for what else the user can put right, 128 + n
            for signal n.
    """
    quieten()
    words = sys.argv[1:] if args is None else args
    with in_words(), ExitStack() as held, StopSignals() as signals:
        restrict_imports()
        read_strictly()
        cli(words, signals, held)


if __name__ == "__main__":
    main()
