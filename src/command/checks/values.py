"""Checks of single values in a config: finite numbers, and null only where it is allowed."""

import re
import sys
from collections.abc import Iterator
from inspect import Parameter, formatannotation, signature
from math import isfinite
from typing import Any, get_args

from jsonargparse import Namespace


def invalid_values(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield key and problem for each number that is not finite, and each null not allowed."""
    if isinstance(value, Namespace):
        for name, hint in _nulls(value):
            yield f"{key}.{name}", f"null is not allowed: expected {hint}"
        value = vars(value)
    if isinstance(value, dict):
        for name, part in value.items():
            yield from invalid_values(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from invalid_values(part, key)
    elif isinstance(value, float) and not isfinite(value):
        yield key, f"{value} is out of range: expected a finite number"


def _nulls(spec: Namespace) -> Iterator[tuple[str, str]]:
    """Yield name and expected type of each argument that is null and may not be.

    The parser takes null for an argument that was not given, and accepts it.
    """
    known = _parameters(str(spec.get("class_path")))
    for name, value in vars(spec.get("init_args") or Namespace()).items():
        if value is None and name in known and not _takes_null(known[name]):
            yield name, re.sub(r"\w+\.", "", formatannotation(known[name].annotation))


def _parameters(class_path: str) -> dict[str, Parameter]:
    """Return the parameters of a constructor, with inherited ones, if its class is imported."""
    module, _, name = class_path.rpartition(".")
    made = getattr(sys.modules.get(module), name, None)
    known: dict[str, Parameter] = {}
    for cls in reversed(getattr(made, "__mro__", ())):  # a subclass overrides its base
        known |= signature(cls.__init__).parameters
    return known


def _takes_null(parameter: Parameter) -> bool:
    hint = parameter.annotation
    unknown = hint in (Any, Parameter.empty) or isinstance(hint, str)
    return unknown or parameter.default is None or type(None) in get_args(hint)
