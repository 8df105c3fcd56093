"""The checks of settings: single values, contradictions between settings, monitored metrics."""

from src.command.checks.callbacks import check_callbacks
from src.command.checks.contradictions import (
    check,
    check_accelerator,
    check_processes,
    check_saved,
    uses_gpu,
)
from src.command.checks.launchers import check_launch
from src.command.checks.replaced import warn_of_replaced, without_effect
from src.command.checks.values import invalid_values

__all__ = [
    "check",
    "check_accelerator",
    "check_callbacks",
    "check_launch",
    "check_processes",
    "check_saved",
    "invalid_values",
    "uses_gpu",
    "warn_of_replaced",
    "without_effect",
]
