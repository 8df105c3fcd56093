"""Refuses a run whose processes differ: each host has flags, data files and disks of its own."""

import socket
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import distributed

from src.errors import UserError
from src.runs.identity import LENGTH, Facts, decisive

Report = tuple[str, Facts]  # the host of a process, and what must be equal in all


class Agreement(Callback):
    """Compares settings, data, checkpoint and run folder of all processes with the first one's.

    Without it, gradients of different data would be averaged without an error, processes would wait
    for each other for ever, or a training would end without its test, as one host lacks the files.

    Args:
        checkpoint: The checkpoint to start from, if there is one.
    """

    def __init__(self, checkpoint: str | None = None) -> None:
        self.checkpoint = checkpoint

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.world_size == 1 or stage == "predict":  # predictions may be of own images
            return
        reports: list[Any] = [None] * trainer.world_size
        mine = facts(trainer, pl_module, self.checkpoint)
        distributed.all_gather_object(reports, (socket.gethostname(), mine))
        compare(reports)


def facts(trainer: Trainer, model: LightningModule, checkpoint: str | None) -> Facts:
    """Return what must be equal in all processes."""
    folder = trainer.log_dir  # that of the first process
    data = trainer.datamodule
    return {
        **decisive(trainer, model, data),
        **{name: getattr(trainer, name.partition(".")[2]) for name in LENGTH},
        "the checkpoint": "/".join(Path(checkpoint).parts[-4:]) if checkpoint else None,
        f"the run folder {folder}": "present" if not folder or Path(folder).is_dir() else "absent",
    }


def compare(reports: list[Report]) -> None:
    """Refuse reports that differ from the first.

    Raises:
        UserError: With the hosts, and both values of the first difference.
    """
    (first_host, first), *others = reports
    for rank, (host, found) in enumerate(others, start=1):
        for name, value in first.items():
            if found.get(name) != value:
                raise UserError(
                    f"Process {rank}, on {host}, differs from process 0, on {first_host}:"
                    f" {name} is {found.get(name)}, not {value}.\n"
                    "All processes need the same flags and data, and run folders on a shared disk."
                )
