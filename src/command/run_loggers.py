"""The loggers of a run: named after its config, and brought into its folder."""

import csv
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import nn

from src.callbacks.trackers import is_tracker, names_tracker, placed
from src.errors import UserError
from src.imports import import_class
from src.runs.find import LOGS
from src.runs.settings import specs

IN_FOLDER = (TensorBoardLogger, CSVLogger)  # write into save_dir/name/version
NOT_CHOSEN = (None, "lightning_logs")  # Lightning's defaults of a name


def complete(trainer: Namespace, name: str, parser: ArgumentParser) -> None:
    """Complete the loggers in a config: the name of the experiment, and the folder of its runs.

    Args:
        trainer: The settings of the trainer.
        name: The name, unless the user has chosen one.
        parser: Knows the logger to use where the settings only say that there is one.
    """
    if trainer.logger in (None, True):
        trainer.logger = parser.get_defaults().trainer.logger
    chosen = {one.init_args.get("name") for one in _in_folder(trainer.logger)} - {*NOT_CHOSEN}
    for spec in specs(trainer.logger):
        arguments = spec.get("init_args", Namespace())
        tracked = names_tracker(spec.class_path)  # each of its runs has a name of its own
        if not tracked and "name" in arguments and arguments.name in NOT_CHOSEN:
            arguments.name = min(chosen, default=name)
        if arguments.get("save_dir") == str(LOGS):
            arguments.save_dir = trainer.default_root_dir or str(LOGS)


def drop_repeated(trainer: Namespace) -> None:
    """Drop callbacks and loggers that are equal to another one, in the config of an earlier run.

    A command that adds one by `+=` is given again with --resume or --run: the run has it already.
    """
    for name in ("callbacks", "logger"):
        if isinstance(given := trainer[name], list):
            trainer[name] = [one for i, one in enumerate(given) if one not in given[:i]]


def runs_folder(config: Namespace, name: str) -> tuple[Path, str | int | None]:
    """Return the folder of all runs of an experiment, and what the user calls the next run."""
    if config.folder:
        folder = Path(config.folder)
        folder = folder if len(folder.parents) > 1 else folder.absolute()
        return folder.parent, folder.name
    given = [one.init_args for one in _in_folder(config.trainer.logger)]
    root = _agreed(given, "save_dir") or config.trainer.default_root_dir or LOGS
    return Path(root, _agreed(given, "name") or name), _agreed(given, "version")


def _in_folder(logger: Any) -> Iterator[Namespace]:
    for spec in specs(logger):
        if issubclass(import_class(spec.class_path), IN_FOLDER):
            yield spec


def _agreed(given: list[Namespace], key: str) -> Any:
    """Return the value of an argument that is the same for all loggers, None if none has it."""
    values = {value for one in given if (value := one.get(key)) is not None}
    if len(values) > 1:
        raise UserError(
            f"Loggers with several values of {key}: {', '.join(sorted(map(str, values)))}.\n"
            "All files of a run lie in one folder: give each logger the same."
        )
    return next(iter(values), None)


def brought(
    loggers: list[Logger], logger: Any, folder: Path, purge_step: int | None, trains: bool
) -> list[Logger]:
    """Return the loggers, those that write files with the run folder for their folder.

    Trackers get only what a training logs.

    Args:
        loggers: The loggers.
        logger: Their classes and arguments in the config.
        folder: The run folder.
        purge_step: The step from which a resumed run continues its curves; None in a new run.
        trains: Whether the command trains.
    """
    found = []
    for one, spec in zip(loggers, specs(logger), strict=True):
        if isinstance(one, IN_FOLDER):
            found.append(_moved(one, folder, spec, purge_step))
        elif not is_tracker(one):
            found.append(one)
        elif trains:
            found.append(placed(one, _arguments(spec), folder, purge_step is not None))
    return found


def _arguments(spec: Namespace) -> dict[str, Any]:
    return {**spec.get("init_args", Namespace()).as_dict(), **spec.get("dict_kwargs", {})}


def _moved(logger: Logger, folder: Path, spec: Namespace, purge_step: int | None) -> Logger:
    place: dict[str, Any] = {
        "save_dir": folder.parents[1], "name": folder.parent.name, "version": folder.name
    }  # fmt: skip
    if isinstance(logger, TensorBoardLogger):
        place["log_graph"] = False  # Lightning's would normalise the example a second time
        place |= {} if purge_step is None else {"purge_step": purge_step}
    try:
        made = type(logger)(**{**_arguments(spec), **place})
    except TypeError as error:
        raise UserError(
            f"--trainer.logger {spec.class_path} cannot write into the run folder: {error}.\n"
            f"Its constructor must accept {', '.join(place)}, as that of its base class does."
        ) from error
    if isinstance(made, CSVLogger) and purge_step:
        keep_rows(made, purge_step)
    return made


def keep_rows(logger: CSVLogger, purge_step: int) -> None:
    """Keep the rows of an earlier `metrics.csv` before a step; Lightning would delete them."""
    path = Path(logger.log_dir, "metrics.csv")
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    whole_lines = text.rpartition("\n")[0].splitlines()  # a kill may have cut the last one
    rows = csv.DictReader(whole_lines)
    kept = [row for row in rows if None not in row.values() and int(row["step"]) < purge_step]
    logger.experiment.metrics += [{k: v for k, v in row.items() if v} for row in kept]
    logger.save()


def wants_graph(logger: Any) -> bool:
    """Return whether TensorBoard is to show the graph of the network."""
    return any(one.init_args.get("log_graph") for one in _in_folder(logger))


def log_graph(trainer: Trainer, net: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Write the graph of a network into TensorBoard's GRAPHS tab."""
    net = deepcopy(net).eval()  # dropout would draw random numbers
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            with warnings.catch_warnings():  # TensorBoard's way, which torch 2.14 warns of
                warnings.filterwarnings("ignore", ".*torch.jit.trace", FutureWarning)
                logger.experiment.add_graph(net, torch.zeros(1, *input_shape))
