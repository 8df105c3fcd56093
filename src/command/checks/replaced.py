"""Finds settings without effect: those of the optimizer that the scheduler sets itself."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

CYCLES = ("OneCycleLR", "CyclicLR")


def without_effect(names: Iterable[str], scheduler: dict[str, Any] | None) -> Iterator[str]:
    """Yield, for each setting that has no effect, a sentence on why, and on what to set instead.

    Args:
        names: The settings, e.g. `model.optimizer.lr`.
        scheduler: Class and arguments of the scheduler, or None.
    """
    kind = str((scheduler or {}).get("class_path")).rpartition(".")[2]
    if scheduler is None or kind not in CYCLES:
        return
    own = {"model.optimizer.lr": "max_lr", "model.optimizer.momentum": "max_momentum"}
    if not (scheduler.get("init_args") or {}).get("cycle_momentum", True):
        del own["model.optimizer.momentum"]
    for name in names:
        if name in own:
            yield f"{name} has no effect, since {kind} sets it.\nUse model.scheduler.{own[name]}."


def warn_of_replaced(words: Iterable[str], scheduler: dict[str, Any] | None) -> None:
    """Print a warning for each flag on the command line that has no effect."""
    flags = [word.partition("=")[0].removeprefix("--") for word in words]
    for reason in without_effect(flags, scheduler):
        print(f"warning: {reason}", file=sys.stderr)
