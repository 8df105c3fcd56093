"""The experiment of a config, built without linenet's command line, for the baselines of bench."""

from functools import partial
from pathlib import Path
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
import yaml
from lightning.pytorch import seed_everything
from torch import nn

from src import models
from src.data import MNIST


class Task:
    """The experiment of a config, built without the CLI and with a handwritten network."""

    def __init__(self, config: Path, batch_size: int, accelerator: str) -> None:
        self.config, self.accelerator = config, accelerator
        parsed = yaml.safe_load(config.read_text())
        self.settings = parsed["model"]["init_args"]
        pad = parsed["data"]["init_args"]["pad"] if isinstance(parsed["data"], dict) else 0
        self.batch_size = batch_size
        self.device = torch.device("cuda" if accelerator == "gpu" else "cpu")
        self.data = MNIST(source="mnist", pad=pad, batch_size=batch_size)
        self.data.setup("fit")
        kind = parsed["model"]["class_path"]
        sizes = {key: self.settings[key] for key in ("hidden", "dropout") if key in self.settings}
        bias = self.settings.get("bias", True)
        self.net = lenet() if kind == "LeNet" else mlp(kind, bias, **sizes)
        seed_everything(0, verbose=False)
        reference = getattr(models, kind)(input_shape=self.data.input_shape, bias=bias, **sizes)
        self.net.load_state_dict(reference.net.state_dict())  # start from linenet's weights
        self.net.to(self.device)

    def optimizer(self, steps: int) -> tuple[Any, Any]:
        """Return the optimizer and the scheduler (or None) of the config."""
        spec, schedule = (self.settings.get(key) for key in ("optimizer", "scheduler"))
        optimizer = _build(torch.optim, spec)(self.net.parameters())
        if schedule is None:
            return optimizer, None
        return optimizer, _build(torch.optim.lr_scheduler, schedule)(optimizer, total_steps=steps)


def _build(module: Any, parsed: dict[str, Any]) -> Any:
    return partial(getattr(module, parsed["class_path"]), **parsed.get("init_args", {}))


def mlp(kind: str, bias: bool, hidden: tuple[int, ...] = (), dropout: float = 0.0) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = 784
    for units in hidden:
        layers += [nn.Linear(inputs, units, bias)]
        layers += [nn.Sigmoid() if kind == "SigmoidMLP" else nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
        inputs = units
    return nn.Sequential(*layers, nn.Linear(inputs, 10, bias))


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip
