"""Loads a trained run: its model with the best weights, and its data module."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
from lightning.pytorch import Callback
from torch import Tensor

from src.cli import main as linenet
from src.command.experiment import ExperimentCLI
from src.command.failures import short_errors
from src.data.images import ImageData
from src.errors import UserError
from src.models import Model
from src.runs.checkpoints import data_state
from src.runs.find import find
from src.runs.results import read_results

SETTINGS = {"logger": False, "callbacks": None, "enable_checkpointing": False,
            "enable_progress_bar": False, "enable_model_summary": False, "devices": 1,
            "num_nodes": 1, "strategy": "auto", "accelerator": "cpu"}  # fmt: skip


@dataclass
class Trained:
    """A trained run.

    Attributes:
        model: The model with the weights of the best checkpoint, in eval mode, on the CPU.
        data: The data module, which preprocesses images; its files have not been read.
        path: The path of the checkpoint.
        results: The content of results.json; empty if the run stopped before its test.
    """

    model: Model
    data: ImageData
    path: Path
    results: dict[str, Any]

    @property
    def name(self) -> str:
        """Config and version, e.g. `mnist_lenet/version_0`."""
        folder = self.path.resolve().parents[1]
        return f"{folder.parent.name}/{folder.name}"

    def normalised(self, images: Tensor) -> Tensor:
        """Return raw images, from 0 to 255, padded and normalised, as the network's input."""
        unknown = torch.zeros(len(images), dtype=torch.int64)
        return self.data.on_after_batch_transfer((self.data.padded(images), unknown), 0)[0]

    def classified(self, x: Tensor) -> Tensor:
        """Return the probabilities `(n, classes)` of padded and normalised images."""
        return self.model.probabilities(self.model(x))

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the probabilities `(n, classes)` of raw uint8 images."""
        return self.classified(self.normalised(images))


class LoaderCLI(ExperimentCLI):
    """Builds the model and data of `predict`, and returns them instead of predicting."""

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
                f"{self.tool} needs a run on images, but {path} was trained on"
                f" {type(datamodule).__name__}."
            )
        model.load_state_dict(self.checkpoint["state_dict"])
        datamodule.load_state_dict(data_state(self.checkpoint, datamodule, path))
        results = read_results(path.parents[1]) or {}
        self.found.append(Trained(model.eval(), datamodule, path, results))


def open_run(folder: str, tool: str, more: Sequence[str] = ()) -> Trained:
    """Load the model and data of a run.

    Args:
        folder: The run folder, or `latest`.
        tool: Name of the calling tool, for messages.
        more: Further arguments of `predict`, e.g. the folder of the data.

    Raises:
        SystemExit: On an error, after printing it, as the command line does.
    """
    with short_errors():
        find(folder, None, tool)  # or the message would name --run, which is not given
    found: list[Trained] = []
    linenet(["predict", "--run", folder, *more], cli=partial(LoaderCLI, found, tool))
    return found[0]
