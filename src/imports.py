"""What a config, a flag or a checkpoint may import: a name in a file is code that would run."""

import importlib
import os
import sys
from collections.abc import Iterator

import jsonargparse

from src.errors import UserError

VARIABLE = "LINENET_ALLOW"  # not a key: a config must not be able to widen the list by itself
LIGHTNING = ("accelerators", "callbacks", "loggers", "plugins", "profilers", "strategies")
OWN = ("src.models", "src.data", "src.callbacks", "torch.nn", "torch.optim")
PACKAGES = (
    *OWN,
    *(f"lightning.pytorch.{part}" for part in LIGHTNING),
    "lightning.pytorch.cli.ReduceLROnPlateau",
)
# Calls any function; the other callbacks that take one call it with numbers or tensors.
DENIED = ("lightning.pytorch.callbacks.lambda_function",)


def restrict_imports() -> None:
    """Let the parser import what is listed and nothing else, and read no config from a URL.

    Raises:
        UserError: If the environment variable names what cannot be a package.
    """
    try:
        jsonargparse.set_parsing_settings(
            import_path_denylist=["*", *DENIED],
            import_path_allowlist=[*PACKAGES, *_widened()],
            # A value without a type could otherwise name any function and its arguments.
            instantiate_subclass_spec_in_any=False,
            config_read_mode_fsspec_enabled=False,
        )
    except ValueError as error:
        raise UserError(f"{VARIABLE}={os.environ.get(VARIABLE)} is not usable: {error}") from error


def import_class(path: str) -> type:
    """Return the class at a path that a checkpoint or a config holds.

    Raises:
        UserError: If it is in a module that is neither listed nor imported already, or not there.
    """
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
    """Return whether a dotted path lies in a package that may be imported."""
    listed = (*PACKAGES, *_widened())
    return any(f"{path}.".startswith(f"{package}.") for package in listed)


def refusal(path: str) -> str:
    """Return what was refused, what is allowed and how to allow more, in three lines."""
    return (
        f"{path} is not imported: a name in a config is code that would run.\n"
        f"Allowed are {', '.join(OWN)}, and {', '.join(LIGHTNING)} of lightning.pytorch.\n"
        f"If you trust it: {VARIABLE}={path.rpartition('.')[0] or path} python -m src.cli ..."
    )


def _widened() -> Iterator[str]:
    """Yield the packages that the user trusts, from the environment."""
    return (name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip())
