"""The flags of the command line: Lightning's, this project's, and the links between them."""

from typing import Any

from jsonargparse.typing import PositiveInt
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from src.callbacks import Figures
from src.callbacks.best_checkpoint import BestCheckpoint
from src.command.defaults import better, with_directions, with_names
from src.command.parser import HelpFormatter, ShortErrorParser
from src.data import TensorData
from src.errors import UserError
from src.models import Model
from src.places import CONFIGS
from src.ranges import Seed
from src.training.run_trainer import RunTrainer

DEFAULTS = CONFIGS / "defaults.yaml"
RUN_FLAGS = {  # of each command: flag, type and help
    "fit": ("--resume", "Resume a run that was killed or stopped: its folder, or latest."),
    **dict.fromkeys(
        ("validate", "test", "predict"),
        ("--run", "Use config and best checkpoint of this run: its folder, or latest."),
    ),
}

OWN_FLAGS = {  # of all commands: type, default and help
    "--report": (
        bool, True, "Write report.html, a page about the run, into its folder after fit and test."
    ),
    "--tag": (list[str], [], "A word by which `compare --tag` finds the run; can be repeated."),
    "--note": (str | None, None, "A text that is kept with the run."),
    "--folder": (
        str | None, None, "The folder of the run; by default lightning_logs/CONFIG/version_N."
    ),
    "--threads": (
        PositiveInt | None, None,
        "CPU threads, shared by runs that a tool trains at once; by default torch's number.",
    ),
}  # fmt: skip


class ExperimentFlags(LightningCLI):
    """Parses a command: a model and a data set of this project, over configs/defaults.yaml.

    Attributes:
        parsers: The parser of the command, by its name.

    Args:
        command: The name of the command.
        options: Options of LightningCLI.
    """

    def __init__(self, command: str, **options: Any) -> None:
        self.command = command
        if not DEFAULTS.is_file():
            raise UserError(f"{DEFAULTS} is missing; run from a clone of the project.")
        self.parsers: dict[str, LightningArgumentParser] = {}
        each = {"allow_abbrev": False, "default_config_files": [str(DEFAULTS)]}
        main_parser = {"prog": "python -m src.cli", "formatter_class": HelpFormatter}
        super().__init__(
            Model,
            TensorData,
            trainer_class=RunTrainer,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            parser_class=ShortErrorParser,
            parser_kwargs={
                **main_parser,
                "allow_abbrev": False,
                **{name: {**each, "command": name} for name in self.subcommands()},
            },
            **options,
        )

    def parse_arguments(self, parser: Any, args: Any) -> None:
        super().parse_arguments(parser, args)
        self.config = with_directions(with_names(self.config))

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Return the command that is run: parsers of the others would take a third of a second."""
        return {self.command: super().subcommands()[self.command]}

    def init_parser(self, command: str = "", **kwargs: Any) -> LightningArgumentParser:
        """Create the main parser or, with its flags that name a run, that of a command."""
        parser = super().init_parser(**kwargs)
        if command:
            self.parsers[command] = parser
            flag, text = RUN_FLAGS[command]
            parser.add_argument(flag, type=str | None, help=text)
        if command == "predict":
            text = "Predict these image files and folders of images instead of the test set."
            parser.add_argument("--images", nargs="+", type=str, metavar="PATH", help=text)
        return parser

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        text = "Seed of initial weights, sample order, dropout and augmentation."
        parser.add_argument("--seed_everything", type=Seed, default=0, help=text)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(Figures, "figures")
        for flag, (kind, default, text) in OWN_FLAGS.items():
            parser.add_argument(flag, type=kind, default=default, help=text)
        parser.link_arguments("checkpoint.monitor", "checkpoint.mode", compute_fn=better)
        parser.link_arguments("seed_everything", "data.init_args.seed")
        for fact in ("input_shape", "num_outputs"):
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")
