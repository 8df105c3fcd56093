"""The settings of a `fit` command, with its configs and defaults applied, without training."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
from lightning.pytorch import Callback, LightningDataModule, LightningModule

from src.callbacks.run_config import plain
from src.cli import main as linenet
from src.command.experiment import ExperimentCLI
from src.command.run_folder import experiment_name

QUIET = {"logger": False, "callbacks": None, "enable_checkpointing": False, "accelerator": "cpu",
         "enable_progress_bar": False, "enable_model_summary": False, "devices": 1,
         "num_nodes": 1, "strategy": "auto", "profiler": None}  # fmt: skip


class Reader(ExperimentCLI):
    """Builds the model and data of `fit`, and may read the data, instead of training.

    Args:
        found: Gets the name of the experiment, its settings and, if read, the data module.
        read: Whether to read the data.
    """

    def __init__(self, *args: Any, found: list[Any] | None = None, read: bool = False) -> None:
        self.found, self.read = found, read
        super().__init__(*args)

    def before_instantiate_classes(self) -> None:
        config = self.config.fit
        if self.found is not None:
            self.found += [experiment_name(config), plain(self.parsers["fit"], config)]
        config.threads = None  # a process that others are forked from must have one
        for name, value in QUIET.items():
            config.trainer[name] = value
        super().before_instantiate_classes()
        self.trainer_defaults["callbacks"] = list[Callback]()

    def before_fit(self) -> None:
        """There is no run to resume."""

    def fit(self, model: LightningModule, datamodule: LightningDataModule, **_: Any) -> None:
        if self.read:
            datamodule.prepare_data()
            datamodule.setup("fit")
            if self.found is not None:
                self.found.append(datamodule)

    def after_fit(self) -> None:
        """There is nothing to test."""


def resolved(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the name of the experiment, and the settings, of `fit` with these words.

    Raises:
        SystemExit: If a word is wrong, after printing why.
    """
    found: list[Any] = []
    linenet(["fit", *words], cli=partial(Reader, found=found))
    return found[0], found[1]


def resolved_and_read(words: Sequence[str]) -> tuple[str, dict[str, Any], Any]:
    """Return name and settings, and the data module, whose data has been read.

    Raises:
        SystemExit: If a word is wrong or the data cannot be read, after printing why.
    """
    found: list[Any] = []
    linenet(["fit", *words], cli=partial(Reader, found=found, read=True))
    return found[0], found[1], found[2]
