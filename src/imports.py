"""Restricts what configs, flags and checkpoints can import, since imported code is executed."""

import importlib
import os
import sys
from collections.abc import Iterator

import jsonargparse

from src.errors import UserError
from src.places import named_here

VARIABLE = "LINENET_ALLOW"  # no config key: a config must not extend the list itself
LIGHTNING = ("accelerators", "callbacks", "loggers", "plugins", "profilers", "strategies")
OWN = ("src.models", "src.data", "src.callbacks", "torch.nn", "torch.optim")
PACKAGES = (
    *OWN,
    *(f"lightning.pytorch.{part}" for part in LIGHTNING),
    "lightning.pytorch.cli.ReduceLROnPlateau",
)
# Calls any given function; other callbacks pass only numbers or tensors to theirs.
DENIED = ("lightning.pytorch.callbacks.lambda_function",)


def restrict_imports() -> None:
    """Restrict the parser to imports from the allowed packages and to local config files.

    Raises:
        UserError: If the environment variable contains an invalid package name.
    """
    try:
        jsonargparse.set_parsing_settings(
            import_path_denylist=["*", *DENIED],
            import_path_allowlist=[*PACKAGES, *_widened()],
            # An untyped value could otherwise call any function with any arguments.
            instantiate_subclass_spec_in_any=False,
            config_read_mode_fsspec_enabled=False,
        )
    except ValueError as error:
        raise UserError(f"{VARIABLE}={os.environ.get(VARIABLE)} is not valid: {error}") from error


def import_class(path: str) -> type:
    """Import a class by its dotted path in a checkpoint or a config, of a clone or of a wheel.

    Raises:
        UserError: If its module is neither allowed nor imported already, or it does not exist.
    """
    path = named_here(path)
    module, _, name = path.rpartition(".")
    if module not in sys.modules and not allowed(path):
        raise UserError(refusal(path))
    try:
        found = getattr(importlib.import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise UserError(f"{path} is not a class that can be imported: {error}") from error
    if not isinstance(found, type):
        raise UserError(f"{path} is not a class.")
    return found


def allowed(path: str) -> bool:
    """Return whether a dotted path is in one of the allowed packages."""
    listed = (*PACKAGES, *_widened())
    return any(f"{path}.".startswith(f"{package}.") for package in listed)


def refusal(path: str) -> str:
    """Return the error message for a path that is not allowed, in three lines."""
    return (
        f"{path} is not imported: importing a name in a config runs its code.\n"
        f"Allowed are {', '.join(OWN)}, and {', '.join(LIGHTNING)} of lightning.pytorch.\n"
        f"If you trust it: {VARIABLE}={path.rpartition('.')[0] or path} python -m src.cli ..."
    )


def _widened() -> Iterator[str]:
    """Yield the packages that the user allows by the environment variable."""
    return (name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip())
