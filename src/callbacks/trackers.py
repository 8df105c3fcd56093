"""Loggers that keep curves in a place of their own, such as Weights & Biases: one run for a run."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from src.errors import UserError
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
                self.stack.push(partial(_end, finish))
        if (folder := run_folder(trainer)) and loggers:
            names = noted(folder) | {type(one).__name__: one.version for one in loggers}
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
        given: Its arguments, with defaults.
        folder: The run folder.
        resumes: Whether the run is resumed.
    """
    kind = type(logger).__name__
    own = {NAMES[kind]: called(folder), **(_of_wandb(folder) if kind == "WandbLogger" else {})}
    own = {name: value for name, value in own.items() if not _is_chosen(logger, name, given)}
    known = noted(folder).get(kind) if resumes else None
    return type(logger)(**{**given, **own, **(_again(kind, known) if known else {})})


def noted(folder: Path) -> dict[str, str]:
    """Return what each tracker calls a run."""
    file = folder / FILE
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def called(folder: Path) -> str:
    """Return the name of a run for people: its path below the folder of all runs."""
    parts = folder.parts
    return "/".join(parts[parts.index(LOGS.name) + 1 :] if LOGS.name in parts else parts[-2:])


def check_one_of_each(specs: Iterable[Any]) -> None:
    """Refuse two trackers of one class: a resumed run could not tell its runs in them apart.

    Args:
        specs: Class and arguments of each logger.

    Raises:
        UserError: With the class.
    """
    counts = Counter(one.class_path.rpartition(".")[2] for one in specs)
    if twice := [name for name, count in counts.items() if name in NAMES and count > 1]:
        raise UserError(
            f"--trainer.logger has {twice[0]} {counts[twice[0]]} times; expected one.\n"
            "Leave the others out."
        )


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


def _is_chosen(logger: Logger, name: str, given: dict[str, Any]) -> bool:
    """Return whether the user has given an argument another value than its default."""
    parameter = signature(type(logger)).parameters.get(name)
    return name in given and not (parameter and given[name] == parameter.default)


def _of_wandb(folder: Path) -> dict[str, Any]:
    return {"save_dir": folder, "reinit": "create_new"}  # several runs in one process


def _again(kind: str, known: str) -> dict[str, Any]:
    """Return the arguments of a tracker with which its run goes on.

    Trackio may not have it: the first points of a run that was killed were perhaps not written.
    """
    names = {"WandbLogger": "version", "MLFlowLogger": "run_id"}
    return {names[kind]: known} if kind in names else {"name": known, "resume": "allow"}


def _end(finish: Callable[..., None], error: object, *_: object) -> None:
    """End a run; one that an error has ended has failed, for a tracker that can be told so."""
    told = error is not None and "exit_code" in signature(finish).parameters
    finish(**({"exit_code": 1} if told else {}))
