"""The settings of a sweep's trials, with the metric that chooses among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scripts.many.resolved import Reader
from scripts.sweep.trial import Monitored
from src.callbacks.run_config import plain
from src.cli import main as linenet
from src.errors import UserError
from src.runs.differences import short_form

# Not part of the training.
OUTSIDE = ("config", "ckpt_path", "resume", "report", "figures", "folder", "threads")


@dataclass
class Described:
    """What `fit` does with some words.

    Attributes:
        name: The name of the experiment, that of its config.
        settings: All settings, as in a `config.yaml`.
        short: Those that differ from their defaults, as in the files of configs/.
    """

    name: str
    settings: dict[str, Any]
    short: dict[str, Any]

    @property
    def metric(self) -> str:
        return str(self.settings["checkpoint"]["monitor"])

    @property
    def epochs(self) -> int | None:
        """The number of epochs of a run, None if there is no limit."""
        number = self.settings["trainer"]["max_epochs"]
        return number if number and number > 0 else None


class Describer(Reader):
    """Builds model, data and trainer of `fit`, and checks that the metric is logged."""

    def __init__(self, shorts: list[dict[str, Any]], *args: Any, **options: Any) -> None:
        self.shorts = shorts
        super().__init__(*args, **options)

    def before_instantiate_classes(self) -> None:
        metric = self.config.fit.checkpoint.monitor
        self.shorts.append(short_form(*map(self._of_training, ("given", "default"))))
        trainer = self.config.fit.trainer
        if str(trainer.devices) != "1" or trainer.num_nodes != 1:
            raise UserError(
                f"A trial has one process and one device, but got --trainer.devices"
                f" {trainer.devices} and\n--trainer.num_nodes {trainer.num_nodes}. Give --jobs for"
                " more trials at once, or start more workers."
            )
        if not str(metric).startswith("val/"):
            raise UserError(
                f"Trials are compared by a metric of the validation, but the metric is {metric}.\n"
                "Give --metric val/acc or val/loss."
            )
        super().before_instantiate_classes()
        self.trainer_defaults["callbacks"].append(Monitored(metric))

    def _of_training(self, which: str) -> dict[str, Any]:
        """Return the given or default settings that decide what is trained."""
        parser = self.parsers["fit"]
        found = plain(parser, self.config.fit if which == "given" else parser.get_defaults())
        found["trainer"].pop("logger", None)
        return {name: value for name, value in found.items() if name not in OUTSIDE}


def described(words: Sequence[str]) -> Described:
    """Return what `fit` does with some words, without training.

    Raises:
        SystemExit: If a word is wrong, or the metric is never logged, after printing why.
    """
    found: list[Any] = []
    shorts: list[dict[str, Any]] = []
    linenet(["fit", *words], cli=partial(Describer, shorts, found=found))
    return Described(found[0], found[1], shorts[0])
