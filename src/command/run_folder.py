"""Gives a run its folder, and its logger, which other parts of Lightning ask for the folder."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from src.runs.folders import new_folder, new_version


def is_rank_zero() -> bool:
    """Return whether this process is the one that writes files."""
    return getattr(rank_zero_only, "rank", 0) == 0


def experiment_name(config: Namespace) -> str:
    """Return the name of the first config file, the one that others override, or of the model."""
    files = [file for file in config.config or [] if file]  # None for YAML given as text
    return Path(files[0]).stem if files else config.model.class_path.split(".")[-1]


def new_run_folder(
    command: str, run: Path | None, root: Path, version: str | int | None, stack: ExitStack
) -> Path:
    """Create and lock the folder of a command: `root/version_N`, or `RUN/test` to evaluate a run.

    Args:
        command: `fit`, `validate`, `test` or `predict`.
        run: The run to evaluate.
        root: The folder of all runs of a config.
        version: What the user calls the folder.
        stack: Keeps the lock.
    """
    if run and version is None:
        return new_folder(run, command, stack)
    return new_version(root, version, stack)


def moved(logger: TensorBoardLogger, folder: Path, spec: Any, **options: Any) -> TensorBoardLogger:
    """Return a logger like the given one that writes to a run folder.

    Args:
        logger: The logger, which may be of a subclass.
        folder: The run folder.
        spec: Class and arguments of the logger in the config.
        options: Further arguments of the logger.
    """
    place = {"save_dir": folder.parents[1], "name": folder.parent.name, "version": folder.name}
    place["log_graph"] = False  # Lightning's would normalise the example a second time
    arguments = {**spec.init_args.as_dict(), **spec.get("dict_kwargs", {})}
    return type(logger)(**{**arguments, **place, **options})


def log_graph(logger: Any, net: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Write the graph of a network into TensorBoard's GRAPHS tab."""
    net.eval()  # dropout would draw random numbers
    logger.experiment.add_graph(net, torch.zeros(1, *input_shape))
    net.train()


def own_folders(trainer: Trainer) -> set[Path]:
    """Return the folders outside the run folder that the user has named for checkpoints."""
    named = [getattr(saver, "dirpath", None) for saver in trainer.checkpoint_callbacks]
    return {Path(folder) for folder in named if folder}
