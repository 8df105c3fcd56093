"""The flags of the command line: Lightning's, this project's own, and what is linked to what."""

from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from src.callbacks import Figures
from src.data import TensorData
from src.errors import UserError
from src.messages import CONFIGS, HelpFormatter, ShortErrorParser
from src.models import Model
from src.ranges import Seed

DEFAULTS = CONFIGS / "defaults.yaml"
DESCRIPTION = """From a line to LeNet. For example:
  python -m src.cli fit --config configs/mnist_mlp.yaml
  python -m src.cli fit --config configs/mnist_mlp.yaml --model.hidden [300,100]
  python -m src.cli test --run RUN
where RUN is a run's folder, lightning_logs/mnist_mlp/version_0. Help on one class of options:
  python -m src.cli fit --model.help ReLUMLP"""


class ExperimentFlags(LightningCLI):
    """Parses a command: a model and a data set of this project, over the defaults of all configs.

    Args:
        options: Those of LightningCLI.
    """

    def __init__(self, **options: Any) -> None:
        if not DEFAULTS.is_file():
            raise UserError(f"{DEFAULTS} is missing; run from a clone of the project.")
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
            parser_class=ShortErrorParser,
            parser_kwargs={**main_parser, **{name: dict(each) for name in self.subcommands()}},
            **options,
        )

    def _prepare_subcommand_parser(self, *args: Any, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(*args, **kwargs)
        if "fit" in args:
            text = "Go on with a run that was killed or stopped: its folder, or latest."
            parser.add_argument("--resume", type=str | None, help=text)
        else:
            text = "Take config and best checkpoint of this run: its folder, or latest."
            parser.add_argument("--run", type=str | None, help=text)
        if "predict" in args:
            text = "Predict these image files, and those in these folders, not the test set."
            parser.add_argument("--images", nargs="+", type=str, metavar="PATH", help=text)
        return parser

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        text = "Seed of the first weights, the order of examples, dropout and augmentation."
        parser.add_argument("--seed_everything", type=Seed, default=0, help=text)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(Figures, "figures")
        text = "After fit and test, write report.html, a page that tells the run, into its folder."
        parser.add_argument("--report", type=bool, default=True, help=text)
        parser.link_arguments("checkpoint.monitor", "checkpoint.mode", compute_fn=better)
        parser.link_arguments("seed_everything", "data.init_args.seed")
        for fact in ("input_shape", "num_outputs"):
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")


def better(monitor: str | None) -> str:
    """Return whether a metric is to be `min` or `max`, by its name: errors end in loss or mse."""
    return "min" if str(monitor).endswith(("loss", "mse")) else "max"
