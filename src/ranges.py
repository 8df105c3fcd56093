"""Numbers that make sense: above, a run would end for want of memory or mean nothing."""

import re
import sys
from collections.abc import Iterator
from inspect import Parameter, formatannotation, signature
from math import isfinite
from typing import Any, get_args

from jsonargparse import Namespace
from jsonargparse.typing import restricted_number_type

Count = restricted_number_type("CountUpTo10Million", int, [(">", 0), ("<=", 10_000_000)])
Width = restricted_number_type("WidthUpTo100000", int, [(">", 0), ("<=", 100_000)])
Padding = restricted_number_type("PaddingUpTo1000", int, [(">=", 0), ("<=", 1_000)])
Side = restricted_number_type("SideUpTo10000", int, [(">", 0), ("<=", 10_000)])
Pixels = restricted_number_type("PixelsUpTo1000", float, [(">=", 0), ("<=", 1_000)])
Degrees = restricted_number_type("DegreesUpTo180", float, [(">=", 0), ("<=", 180)])
Slant = restricted_number_type("DegreesUpTo89", float, [(">=", 0), ("<=", 89)])
Seed = restricted_number_type("SeedUpTo2to32", int, [(">=", 0), ("<", 2**32)])


def misfits(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield key and complaint for each number in a config that is not finite, and wrong null."""
    if isinstance(value, Namespace):
        for name, hint in _nulls(value):
            yield f"{key}.{name}", f"null is not allowed: expected {hint}"
        value = vars(value)
    if isinstance(value, dict):
        for name, part in value.items():
            yield from misfits(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from misfits(part, key)
    elif isinstance(value, float) and not isfinite(value):
        yield key, f"{value} is out of range: expected a finite number"


def _nulls(spec: Namespace) -> Iterator[tuple[str, str]]:
    """Yield the arguments of a class that are null where it takes no null, and what it takes.

    The parser takes null for an argument that was not given, and lets it through.
    """
    known = _parameters(str(spec.get("class_path")))
    for name, value in vars(spec.get("init_args") or Namespace()).items():
        if value is None and name in known and not _takes_null(known[name]):
            yield name, re.sub(r"\w+\.", "", formatannotation(known[name].annotation))


def _parameters(class_path: str) -> dict[str, Parameter]:
    """Return the parameters of a constructor, inherited ones too, if its class is imported."""
    module, _, name = class_path.rpartition(".")
    made = getattr(sys.modules.get(module), name, None)
    known: dict[str, Parameter] = {}
    for cls in reversed(getattr(made, "__mro__", ())):  # what a subclass says, counts
        known |= signature(cls.__init__).parameters
    return known


def _takes_null(parameter: Parameter) -> bool:
    hint = parameter.annotation
    unknown = hint in (Any, Parameter.empty) or isinstance(hint, str)
    return unknown or parameter.default is None or type(None) in get_args(hint)
