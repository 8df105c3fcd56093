"""The command line: LightningCLI with this project's defaults, links, run folders and manners."""

import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary, TQDMProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from src.callbacks import ConfusionMatrix, HParams, LineFit, PredictionWriter, RunRecord
from src.data import TensorData
from src.errors import UserError
from src.messages import CONFIGS, HelpFormatter, ShortErrorParser
from src.models import Model
from src.quiet import quieten
from src.summary import print_summary

DESCRIPTION = """From a line to LeNet. For example:
  python -m src.cli fit --config configs/mnist_mlp.yaml
  python -m src.cli fit --config configs/mnist_mlp.yaml --model.hidden [300,100]
  python -m src.cli test --config RUN/config.yaml --ckpt_path RUN/checkpoints/best-epoch09.ckpt
where RUN is a run's folder, lightning_logs/mnist_mlp/version_0. Help on one class of options:
  python -m src.cli fit --model.help ReLUMLP"""


class ExperimentCLI(LightningCLI):
    """Links what the data knows to the model, names run folders, and tests what it trained."""

    def __init__(self, args: ArgsType = None) -> None:
        strict: dict[str, Any] = {"allow_abbrev": False}
        command = {**strict, "default_config_files": [str(CONFIGS / "defaults.yaml")]}
        top = {**strict, "description": DESCRIPTION, "formatter_class": HelpFormatter}
        self.record = RunRecord()
        callbacks = [self.record, HParams(), PredictionWriter(), ConfusionMatrix(), LineFit()]
        super().__init__(
            Model,
            TensorData,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            trainer_defaults={"callbacks": callbacks},
            parser_class=ShortErrorParser,
            parser_kwargs={**top, **{name: dict(command) for name in self.subcommands()}},
            args=args,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.link_arguments("seed_everything", "data.init_args.seed")
        for fact in ("input_shape", "num_outputs"):
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        if self.subcommand != "fit" and not config.ckpt_path:
            raise UserError(
                f"{self.subcommand} needs --ckpt_path FILE, or it would judge an untrained model.\n"
                "The best checkpoint of a run is in lightning_logs/NAME/version_N/checkpoints/."
            )
        if config.ckpt_path and not Path(config.ckpt_path).is_file():
            raise UserError(f"--ckpt_path {config.ckpt_path} is not a file.")
        logger = config.trainer.logger
        if not logger:
            self.save_config_callback = None  # there is no run folder to save it into
        elif hasattr(logger, "init_args") and logger.init_args.get("name") is None:
            logger.init_args.name = self._experiment(config)
        if config.trainer.enable_checkpointing is False:
            self._parser(self.subcommand).callback_keys.clear()
        self.trainer_defaults["callbacks"] += self._screen(config.trainer)

    @staticmethod
    def _screen(trainer: Any) -> list[Callback]:
        """Return a progress bar and a summary by layer, unless switched off or chosen."""
        chosen = str(trainer.callbacks)
        bar = trainer.enable_progress_bar is not False and "ProgressBar" not in chosen
        table = trainer.enable_model_summary is not False and "ModelSummary" not in chosen
        return [TQDMProgressBar(refresh_rate=20)] * bar + [ModelSummary(max_depth=2)] * table

    @staticmethod
    def _experiment(config: Any) -> str:
        """Return the name of the first config, as later ones are overlays; else of the model."""
        return (
            Path(config.config[0]).stem if config.config else config.model.class_path.split(".")[-1]
        )

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        if self.datamodule.num_classes is not None:
            return
        model, data = type(self.model).__name__, type(self.datamodule).__name__
        if self.model.hparams["loss"] == "cross_entropy":
            raise UserError(
                f"{model} with --model.loss cross_entropy predicts classes, but the targets of"
                f" {data} are real numbers.\nGive --model.loss mse, or data with classes."
            )
        if str(self._get(self.config, "checkpoint").monitor).endswith("/acc"):
            raise UserError(
                f"--checkpoint.monitor val/acc is not there to choose by: the targets of {data} are"
                " real numbers.\nGive --checkpoint.monitor val/loss --checkpoint.mode min."
            )

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        try:
            return super().instantiate_trainer(**kwargs)
        except (MisconfigurationException, ValueError) as error:
            raise UserError(f"The trainer refuses its settings: {error}") from error

    def after_fit(self) -> None:
        """Test the checkpoint that validation chose, once."""
        best = getattr(self.trainer.checkpoint_callback, "best_model_path", None)
        self.test(self.model, self.datamodule, ckpt_path="best" if best else None)

    def test(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        self.trainer.test(model, datamodule, **{**kwargs, "verbose": False})
        folder = self.trainer.log_dir if self.trainer.logger else None
        if self.trainer.is_global_zero:
            print_summary(self.record.results, folder)


def main(args: ArgsType = None) -> None:
    """Run one command, e.g. `main(["fit", "--config", "configs/mnist_mlp.yaml"])`.

    Raises:
        SystemExit: With code 2 for a wrong command, 1 for what else the user can put right.
    """
    quieten()
    try:
        ExperimentCLI(args)
    except Exception as error:
        known = _known(error)
        if known is None:
            raise  # a fault of the program, or of a class of the user's own: show where
        print(f"error: {known}", file=sys.stderr)
        raise SystemExit(1) from None


def _known(error: BaseException | None) -> BaseException | None:
    """Return what the user can put right: jsonargparse wraps what a constructor raises."""
    while error and not isinstance(error, UserError | MisconfigurationException):
        error = error.__cause__
    return error


if __name__ == "__main__":
    main()
