"""Checks that as many processes were started as the settings ask for."""

import os

from lightning.pytorch import Trainer
from lightning.pytorch.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

from src.errors import UserError


def check_launch(trainer: Trainer) -> None:
    """Refuse settings for more or fewer processes than torchrun or srun has started.

    Lightning would train each of them alone, or wait half an hour for the missing ones.

    Raises:
        UserError: With both numbers.
    """
    nodes, devices = trainer.num_nodes, trainer.num_devices
    found = started()
    if found is None and nodes > 1 and "MASTER_ADDR" not in os.environ:
        found = "python", 1
    if found and found[1] != nodes * devices:
        raise UserError(
            f"--trainer.num_nodes {nodes} and --trainer.devices {devices} make"
            f" {nodes * devices} processes, but {found[0]} has started {found[1]}.\n"
            "Start each of them, by torchrun on each host, or by srun in a job of SLURM."
        )


def started() -> tuple[str, int] | None:
    """Return what has started the processes of this run, and how many; None if we start them."""
    if TorchElasticEnvironment.detect():
        return "torchrun", int(os.environ["WORLD_SIZE"])
    if not SLURMEnvironment.detect():
        return None
    if "SLURM_STEP_ID" in os.environ:
        return "srun", int(os.environ["SLURM_NTASKS"])
    return "the script of the job", 1
