"""Trains a run again, into a folder of its own."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
import yaml

from scripts.many.page import warning_of
from src.cli import main as linenet
from src.command.experiment import ExperimentCLI
from src.runs.find import LOGS
from src.runs.results import read_results
from src.runs.sessions import sessions
from src.training.run_trainer import run_folder

REPEATS = "repeats"  # the folder of all repetitions, beside those of the configs


class Repeater(ExperimentCLI):
    """Trains like `fit`, and tells its folder.

    Args:
        found: Gets the run folder, in the first process only.
    """

    def __init__(self, found: list[Path], *args: Any) -> None:
        self.found = found
        super().__init__(*args)

    def after_fit(self) -> None:
        super().after_fit()
        if folder := run_folder(self.trainer):
            self.found.append(folder)


def train_again(folder: Path, words: Sequence[str]) -> Path | None:
    """Train a run again, and return the new folder; None in other processes than the first.

    Args:
        folder: The folder of the run.
        words: Flags of `fit` that override its settings.

    Raises:
        SystemExit: If the training fails, after printing why.
    """
    found: list[Path] = []
    linenet(["fit", *again(folder), *words], cli=partial(Repeater, found))
    return found[0] if found else None


def again(folder: Path) -> list[str]:
    """Return the words of `fit` that repeat a run.

    Loggers, pictures and report do not change the numbers, and a tracker would get a second run;
    threads do, in the last digits, and are those of the run. Where the files of a data set are
    missing now, the small digits do not take their place.
    """
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    root = Path(settings["trainer"].get("default_root_dir") or LOGS)
    root = root if root.name == REPEATS else root / REPEATS
    words = ["--config", str(folder / "config.yaml"), f"--trainer.default_root_dir={root}",
             "--trainer.logger=TensorBoardLogger", f"--trainer.logger.save_dir={root}",
             "--trainer.logger.default_hp_metric=false", "--checkpoint.dirpath=null",
             "--report=false", "--figures.only=[]"]  # fmt: skip
    threads = [one["threads"] for one in sessions(folder)[-1:]]
    words += [f"--threads={number}" for number in threads]
    if (settings["data"].get("init_args") or {}).get("source") == "auto":
        small = warning_of((read_results(folder) or {})["dataset"]["source"])
        words.append(f"--data.source={'digits' if small else 'mnist'}")
    return words
