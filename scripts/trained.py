"""Opens a run that is done: its model with the best weights, and its data module."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import src  # noqa: F401  (first: it makes torchvision and Lightning importable)

# isort: split
from lightning.pytorch import Callback

from src.checkpoints import data_state, read_checkpoint
from src.cli import ExperimentCLI
from src.cli import main as linenet
from src.data.images import ImageData
from src.errors import UserError
from src.models import Model

SETTINGS = {"logger": False, "callbacks": None, "enable_checkpointing": False,
            "enable_progress_bar": False, "enable_model_summary": False, "devices": 1,
            "num_nodes": 1, "strategy": "auto", "accelerator": "cpu"}  # fmt: skip


@dataclass
class Trained:
    """A run that is done.

    Attributes:
        model: With the weights of the best checkpoint, in eval mode, on the CPU.
        data: Knows how images become examples and back; its files have not been read.
        path: The checkpoint.
        checkpoint: What it holds.
    """

    model: Model
    data: ImageData
    path: Path
    checkpoint: dict[str, Any]

    @property
    def name(self) -> str:
        """Config and version, e.g. `mnist_lenet/version_0`."""
        folder = self.path.resolve().parents[1]
        return f"{folder.parent.name}/{folder.name}"


class Opening(ExperimentCLI):
    """Builds what `predict` would ask, and hands it over instead."""

    def __init__(self, found: list[Trained], tool: str, *args: Any) -> None:
        self.found, self.tool = found, tool
        super().__init__(*args)

    def before_instantiate_classes(self) -> None:
        for name, value in SETTINGS.items():
            self.config.predict.trainer[name] = value
        super().before_instantiate_classes()
        self.trainer_defaults["callbacks"] = list[Callback]()

    def predict(self, model: Model, datamodule: Any, **_: Any) -> None:
        path = Path(self.config.predict.ckpt_path)
        if not isinstance(datamodule, ImageData):
            raise UserError(
                f"{self.tool} is for runs on images, but {path} is of one on"
                f" {type(datamodule).__name__}."
            )
        checkpoint = read_checkpoint(path)
        model.load_state_dict(checkpoint["state_dict"])
        datamodule.load_state_dict(data_state(checkpoint, datamodule, path))
        self.found.append(Trained(model.eval(), datamodule, path, checkpoint))


def open_run(folder: str, tool: str, more: Sequence[str] = ()) -> Trained:
    """Return the model and data of a run.

    Args:
        folder: The run's, or `latest`.
        tool: Who asks, for messages.
        more: What `predict` takes beside it.

    Raises:
        SystemExit: With what is wrong on the screen, as the command line does.
    """
    found: list[Trained] = []
    linenet(["predict", "--run", folder, *more], cli=partial(Opening, found, tool))
    return found[0]
