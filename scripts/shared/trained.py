"""Opens a run that is done: its model with the best weights, and its data module."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from src.data.images import ImageData
from src.errors import UserError
from src.models import Model
from src.runs.checkpoints import data_state
from src.runs.results import read_results

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
        results: The record of the run; empty if it was stopped before its test.
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
        """Return images as the network gets them, padded and normalised, from raw uint8 ones."""
        unknown = torch.zeros(len(images), dtype=torch.int64)
        return self.data.on_after_batch_transfer((self.data.padded(images), unknown), 0)[0]

    def judged(self, x: Tensor) -> Tensor:
        """Return the probabilities `(n, classes)` of images as the network gets them."""
        return self.model.probabilities(self.model(x))

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the probabilities `(n, classes)` of raw uint8 images, as the project evaluates."""
        return self.judged(self.normalised(images))


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
        model.load_state_dict(self.checkpoint["state_dict"])
        datamodule.load_state_dict(data_state(self.checkpoint, datamodule, path))
        results = read_results(path.parents[1]) or {}
        self.found.append(Trained(model.eval(), datamodule, path, results))


def open_run(folder: str, tool: str, more: Sequence[str] = ()) -> Trained:
    """Return the model and data of a run.

    Args:
        folder: The run's, or `latest`.
        tool: Who asks, for messages.
        more: What `predict` takes beside it, such as where the data are.

    Raises:
        SystemExit: With what is wrong on the screen, as the command line does.
    """
    found: list[Trained] = []
    linenet(["predict", "--run", folder, *more], cli=partial(Opening, found, tool))
    return found[0]


@contextmanager
def extra(name: str, tool: str) -> Iterator[None]:
    """Say how to install what a tool imports within, if it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).startswith(("src", tool)):
            raise  # a part of the project itself
        raise UserError(
            f"{tool} needs {error.name}, which is not installed.\n"
            f"./scripts/run {tool} installs it, and so does: pip install -e .[{name}]"
        ) from error
