"""Keeps what a training depends on besides its settings."""

import platform
from datetime import UTC, datetime

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from src.runs.code_state import changes, git_state
from src.runs.provenance import device_name, environment, packages, versions
from src.runs.sessions import Session, add_session
from src.training.run_trainer import run_folder


class Provenance(Callback):
    """Writes `provenance.json` and `changes.diff` when a training starts or is resumed.

    Args:
        command: The command line of this session.
    """

    def __init__(self, command: str) -> None:
        self.command = command

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if folder := run_folder(trainer):
            add_session(folder, self.session(trainer), changes())

    def session(self, trainer: Trainer) -> Session:
        """Return what the training depends on from now on."""
        data = trainer.datamodule
        return {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": self.command,
            "git": git_state(),
            "data": {**data.describe(), "digest": data.digest},
            "device": device_name(trainer.strategy.root_device),
            "processes": trainer.world_size,
            "threads": torch.get_num_threads(),
            "platform": platform.platform(),
            "environment": environment(),
            "versions": versions(),
            "packages": packages(),
        }
