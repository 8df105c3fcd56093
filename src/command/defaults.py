"""Defaults of classes that the user has chosen, put right: names for objects, and directions."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import torch
import yaml
from jsonargparse import Namespace

from src.errors import UserError


def with_names(config: Namespace) -> Namespace:
    """Return a config with devices and enums by name, as YAML and `config.yaml` have them."""

    def by_name(value: Any) -> Any:
        value = value.value if isinstance(value, Enum) else value
        return str(value) if isinstance(value, torch.device) else value

    return _changed(config, by_name)


def write_names() -> None:
    """Let YAML have devices and enums by name, for --print_config with a callback such as Timer."""
    yaml.SafeDumper.add_multi_representer(Enum, lambda to, one: to.represent_data(one.value))
    yaml.SafeDumper.add_representer(torch.device, lambda to, one: to.represent_str(str(one)))


def with_directions(config: Namespace) -> Namespace:
    """Return a config in which everything that monitors an accuracy takes more for better.

    The default of EarlyStopping and ReduceLROnPlateau is that less is better, whatever the metric.

    Raises:
        UserError: If a loss or error is monitored as if more were better.
    """
    return _changed(config, _directed)


def better(monitor: str | None) -> str:
    """Return `min` for a metric whose name ends in loss or mse, else `max`."""
    return "min" if str(monitor).endswith(("loss", "mse")) else "max"


def _directed(value: Any) -> Any:
    if not isinstance(value, Namespace) or not {"monitor", "mode"} <= {*vars(value)}:
        return value
    name = str(value.monitor)
    if name.endswith("/acc"):
        value.mode = "max"
    elif better(name) != value.mode and better(name) == "min":
        raise UserError(
            f"mode {value.mode} for the metric {name}: less is better there, expected mode min.\n"
            "Leave mode out, or monitor another metric."
        )
    return value


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return settings with a change applied to each value, the innermost first."""
    if isinstance(value, Namespace):
        parts = {name: _changed(part, change) for name, part in vars(value).items()}
        return change(Namespace(parts))
    if isinstance(value, list):
        return [_changed(part, change) for part in value]
    return change(value)
