"""Gives a run its folder, for checkpoints, curves and all else."""

from contextlib import ExitStack
from pathlib import Path

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from src.command.local import is_local
from src.runs.find import is_fit
from src.runs.folders import new_folder, new_version


def is_rank_zero() -> bool:
    """Return whether this process is the one that writes files."""
    return getattr(rank_zero_only, "rank", 0) == 0


def experiment_name(config: Namespace) -> str:
    """Return the name of the first config file, the one that others override, or of the model.

    The config of a run has the name of the experiment that was run.
    """
    given = [file for file in config.config or [] if file]  # None for YAML given as text
    files = [Path(file) for file in given if not is_local(file)]
    if not files:
        return config.model.class_path.split(".")[-1]
    of_run = files[0].name == "config.yaml" and is_fit(files[0])
    return files[0].resolve().parents[1].name if of_run else files[0].stem


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


def own_folders(trainer: Trainer) -> set[Path]:
    """Return the folders outside the run folder that the user has named for checkpoints."""
    named = [getattr(saver, "dirpath", None) for saver in trainer.checkpoint_callbacks]
    return {Path(folder) for folder in named if folder}


def place_checkpoints(trainer: Trainer, folder: Path) -> None:
    """Put checkpoints into the run folder, unless the user has named another one.

    Lightning would ask the first logger where they belong.
    """
    for saver in trainer.checkpoint_callbacks:
        if isinstance(saver, ModelCheckpoint) and saver.dirpath is None:
            saver.dirpath = str(folder / "checkpoints")
