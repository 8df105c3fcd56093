"""Numbers that make sense: above, a run would end for want of memory or mean nothing."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

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


def infinite(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Yield the keys and values of all numbers in a config that are infinite or no number."""
    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, dict):
        for name, part in value.items():
            yield from infinite(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from infinite(part, key)
    elif isinstance(value, float) and not isfinite(value):
        yield key, value
