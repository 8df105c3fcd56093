"""What `repeat` answers: equal, equal within rounding, or what differs, and what has changed."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from scripts.repeat.numbers import Difference

# Relative to the largest value of its kind. A float32 has 6e-8; sums of thousands of them in
# another order differ by 1e-6 or so, unless many steps of training make it grow.
ROUNDING = 1e-4
SHOWN = 4  # changes of a kind
RELATIVE = "largest relative difference"


class Verdict(Enum):
    """The answer, in words."""

    EQUAL = "equal, to the bit"
    ROUNDED = "equal within rounding"
    DIFFERENT = "different"


def verdict(differences: Sequence[Difference]) -> Verdict:
    """Return the answer for the differences in all parts of two runs."""
    largest = max(one.largest for one in differences)
    if not largest:
        return Verdict.EQUAL
    return Verdict.ROUNDED if largest <= ROUNDING else Verdict.DIFFERENT


def show(
    before: Path, after: Path, differences: Sequence[Difference], changed: dict[str, list[str]]
) -> None:
    """Print the answer.

    Args:
        before: The folder of the run.
        after: The folder of its repetition.
        differences: How far they differ.
        changed: What has changed since then, by kind.
    """
    table = Table("compared", Column("values", justify="right"), RELATIVE, "where")
    table.title = Text(f"{before} and its repetition")
    for one in differences:
        largest = f"{one.largest:.1e}" if one.largest else "none, to the bit"
        table.add_row(one.part, f"{one.number:,}", largest, Text(one.where))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    print(f"repetition: {after}\n{sentence(differences)}")
    print("Changed since then:" if changed else "Nothing else has changed since then.")
    for kind, told in changed.items():
        more = f", and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        print(f"  {kind}: {'; '.join(told[:SHOWN])}{more}")


def sentence(differences: Sequence[Difference]) -> str:
    """Return the answer as a sentence."""
    found, largest = verdict(differences), max(one.largest for one in differences)
    if found is Verdict.EQUAL:
        return "Equal, to the bit."
    if found is Verdict.ROUNDED:
        return f"Equal within rounding: the {RELATIVE} is {largest:.1e}."
    parts = ", ".join(one.part for one in differences if one.largest > ROUNDING)
    start = next((f" {one.first}" for one in differences if one.first), "")
    return f"Different: {parts}.{start}"
