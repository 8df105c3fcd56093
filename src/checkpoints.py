"""Checks a checkpoint before anything is built for it."""

from pathlib import Path
from typing import Any

import torch

from src.errors import UserError


def check_checkpoint(path: str, class_path: str) -> None:
    """Refuse a file that is no checkpoint, or one of another class of model.

    Raises:
        UserError: If the file is missing, is no checkpoint, or holds another model.
    """
    if not Path(path).is_file():
        raise UserError(
            f"--ckpt_path {path} is not a file; expected a checkpoint.\n"
            "A run has its checkpoints in lightning_logs/NAME/version_N/checkpoints/."
        )
    made = _hyperparameters(path).get("_class_path", class_path)
    if made.rsplit(".", 1)[-1] != class_path.rsplit(".", 1)[-1]:
        raise UserError(
            f"--ckpt_path {path} holds a {made.rsplit('.', 1)[-1]}, but the model is"
            f" {class_path.rsplit('.', 1)[-1]}.\nGive the config.yaml of the run that it is from."
        )


def _hyperparameters(path: str) -> dict[str, Any]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return dict(checkpoint["hyper_parameters"])
    except Exception as error:  # a file of anything, made by anybody
        raise UserError(
            f"--ckpt_path {path} is not a checkpoint of this project, or it is damaged.\n"
            "A run has its checkpoints in lightning_logs/NAME/version_N/checkpoints/."
        ) from error
