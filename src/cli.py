"""The command line: LightningCLI with this project's defaults, links, run folders and manners."""

import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichModelSummary, TQDMProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.model_helpers import is_overridden

from src.callbacks import HParams, PredictionWriter, RunRecord
from src.checkpoints import check_checkpoint
from src.config_files import read_strictly
from src.contradictions import check, check_processes, check_saved
from src.data import TensorData
from src.errors import UserError
from src.imports import restrict_imports
from src.loop import EpochLoop
from src.messages import CONFIGS, HelpFormatter, ShortErrorParser, user_error
from src.models import Model
from src.quiet import quieten, quieten_evaluation
from src.ranges import Seed
from src.summary import print_summary

DEFAULTS = CONFIGS / "defaults.yaml"
DESCRIPTION = """From a line to LeNet. For example:
  python -m src.cli fit --config configs/mnist_mlp.yaml
  python -m src.cli fit --config configs/mnist_mlp.yaml --model.hidden [300,100]
  python -m src.cli test --config RUN/config.yaml --ckpt_path RUN/checkpoints/best-epoch09.ckpt
where RUN is a run's folder, lightning_logs/mnist_mlp/version_0. Help on one class of options:
  python -m src.cli fit --model.help ReLUMLP"""


class ExperimentCLI(LightningCLI):
    """Links what the data knows to the model, names run folders, and tests what it trained."""

    def __init__(self, args: ArgsType = None) -> None:
        if not DEFAULTS.is_file():
            raise UserError(f"{DEFAULTS} is missing; run from a clone of the project.")
        self.record = RunRecord(args)
        each = {"allow_abbrev": False, "default_config_files": [str(DEFAULTS)]}
        main_parser = {
            "prog": "python -m src.cli",
            "description": DESCRIPTION,
            "formatter_class": HelpFormatter,
            "allow_abbrev": False,
        }
        super().__init__(
            Model,
            TensorData,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            trainer_defaults={"callbacks": [self.record, HParams(), PredictionWriter()]},
            parser_class=ShortErrorParser,
            parser_kwargs={**main_parser, **{name: dict(each) for name in self.subcommands()}},
            args=args,
        )

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        text = "Seed of the first weights, the order of examples, dropout and augmentation."
        parser.add_argument("--seed_everything", type=Seed, default=0, help=text)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.link_arguments("checkpoint.monitor", "checkpoint.mode", compute_fn=better)
        parser.link_arguments("seed_everything", "data.init_args.seed")
        for fact in ("input_shape", "num_outputs"):
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")

    def _parse_ckpt_path(self) -> None:
        """Check the checkpoint; Lightning would let it overrule the command line unseen."""
        config = self.config[self.config.subcommand]
        if config.ckpt_path:
            check_checkpoint(config.ckpt_path, config.model.class_path)
        elif self.config.subcommand != "fit":
            raise UserError(
                f"{self.config.subcommand} needs --ckpt_path FILE: it would judge an untrained"
                " model.\nA run has its checkpoints in lightning_logs/NAME/version_N/checkpoints/."
            )

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        check_processes(config.trainer.devices)
        if self.subcommand != "fit":
            quieten_evaluation()
        logger = config.trainer.logger
        if not logger:
            self.save_config_callback = None  # there is no run folder to save it into
        elif hasattr(logger, "init_args") and logger.init_args.get("name") is None:
            # The first config is the experiment; later ones are laid over it.
            stem = Path(config.config[0]).stem if config.config else None
            logger.init_args.name = stem or config.model.class_path.split(".")[-1]
        if config.trainer.enable_checkpointing is False:  # or Lightning refuses ModelCheckpoint
            self._parser(self.subcommand).callback_keys.clear()
        self.trainer_defaults["callbacks"] += screen(config.trainer)

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        check(self.trainer, self.model, self.datamodule, str(self.subcommand))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise UserError(f"The trainer refuses its settings: {error}") from error
        own_step = is_overridden("training_step", self.model, Model)
        if not own_step and not is_overridden("train_dataloader", self.datamodule, TensorData):
            trainer.fit_loop.epoch_loop.__class__ = EpochLoop
        return trainer

    def after_fit(self) -> None:
        """Test the checkpoint that validation chose, once."""
        check_saved(self.trainer)
        best = getattr(self.trainer.checkpoint_callback, "best_model_path", None)
        self.test(self.model, self.datamodule, ckpt_path="best" if best else None)

    def test(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        self.trainer.test(model, datamodule, **{**kwargs, "verbose": False})
        folder = self.trainer.log_dir if self.trainer.logger else None
        if self.trainer.is_global_zero:
            print_summary(self.record.results, folder)


def better(monitor: str | None) -> str:
    """Return whether a metric is to be `min` or `max`, by its name: errors end in loss or mse."""
    return "min" if str(monitor).endswith(("loss", "mse")) else "max"


def screen(trainer: Any) -> list[Callback]:
    """Return a progress bar and a summary by layer, unless switched off or chosen."""
    chosen = str(trainer.callbacks)
    bar = trainer.enable_progress_bar is not False and "ProgressBar" not in chosen
    table = trainer.enable_model_summary is not False and "ModelSummary" not in chosen
    return [TQDMProgressBar(refresh_rate=50)] * bar + [RichModelSummary(max_depth=2)] * table


def main(args: ArgsType = None) -> None:
    """Run one command, e.g. `main(["fit", "--config", "configs/mnist_mlp.yaml"])`.

    Raises:
        SystemExit: With code 2 for a wrong command, 1 for what else the user can put right.
    """
    quieten()
    try:
        restrict_imports()
        read_strictly()
        ExperimentCLI(args)
    except Exception as error:
        known = user_error(error)
        if known is None:
            raise  # a fault of the program, or of a class of the user's own: show where
        print(f"error: {known}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
