"""Loggers that keep curves in a place of their own, such as Weights & Biases: one run for a run."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from src.files import lock, write_whole
from src.runs.find import LOGS
from src.training.run_trainer import run_folder

FILE = "trackers.json"  # in the run folder: what each tracker calls the run
NAMES = {"WandbLogger": "name", "MLFlowLogger": "run_name", "TrackioLogger": "name"}  # arguments
SQLITE = "sqlite:///"


class Trackers(Callback):
    """Notes what each tracker calls the run, so that a resumed run goes on there.

    Args:
        stack: Ends the runs of the trackers when the command ends.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loggers = [one for one in trainer.loggers if is_tracker(one)]
        for one in loggers if trainer.is_global_zero else []:
            if finish := getattr(one.experiment, "finish", None):
                self.stack.callback(finish)
        if (folder := run_folder(trainer)) and loggers:
            names = {type(one).__name__: one.version for one in loggers}
            write_whole(folder / FILE, json.dumps(names, indent=2) + "\n")


def is_tracker(logger: Logger) -> bool:
    """Return whether a logger keeps curves in a place of its own."""
    return names_tracker(type(logger).__name__)


def names_tracker(class_path: str) -> bool:
    return class_path.rpartition(".")[2] in NAMES


def placed(logger: Logger, given: dict[str, Any], folder: Path, resumes: bool) -> Logger:
    """Return a tracker whose run is called like the run folder, and goes on if the run is resumed.

    Args:
        logger: The tracker.
        given: The arguments that the user has chosen.
        folder: The run folder.
        resumes: Whether the run is resumed.
    """
    kind, file = type(logger).__name__, folder / FILE
    name = given.get(NAMES[kind]) or called(folder)
    known = (
        json.loads(file.read_text(encoding="utf-8")).get(kind)
        if resumes and file.is_file()
        else None
    )
    return type(logger)(**{**given, NAMES[kind]: name, **_more(kind, folder, known)})


def called(folder: Path) -> str:
    """Return the name of a run for people: its path below the folder of all runs."""
    parts = folder.parts
    return "/".join(parts[parts.index(LOGS.name) + 1 :] if LOGS.name in parts else parts[-2:])


@contextmanager
def one_at_a_time(specs: Iterable[Any]) -> Iterator[None]:
    """Let one process at a time build loggers that create a database in a file.

    Args:
        specs: Class and arguments of each logger.
    """
    addresses = [str(one.get("init_args", {}).get("tracking_uri")) for one in specs]
    with ExitStack() as stack:
        for address in {one for one in addresses if one.startswith(SQLITE)}:
            file = Path(address.removeprefix(SQLITE))
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock(file.with_name(f"{file.name}.lock")))
        yield


def _more(kind: str, folder: Path, known: str | None) -> dict[str, Any]:
    """Return the other arguments of a tracker.

    Args:
        kind: Its class.
        folder: The run folder.
        known: What it calls the run that is resumed; None for a new one.
    """
    if kind == "WandbLogger":
        new = {"save_dir": folder, "reinit": "create_new"}  # several runs in one process
        return {**new, "version": known} if known else new
    if kind == "MLFlowLogger":
        return {"run_id": known} if known else {}
    return {"name": known, "resume": "must"} if known else {}
