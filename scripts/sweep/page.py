"""The page of a sweep: its result, Optuna's pictures, and a row for each trial."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from scripts.many.groups import Group
from scripts.many.numbers import shown
from scripts.many.page import Link, page
from scripts.sweep.attempts import REASON, first_number
from scripts.sweep.display import ending
from scripts.sweep.outcome import Outcome, epochs, seconds
from scripts.sweep.worker import RUN
from src.files import write_whole

Facts = Sequence[tuple[str, str]]


def write_page(
    group: Group,
    metric: str,
    found: Outcome,
    facts: Facts,
    images: Mapping[str, bytes],
    command: str,
) -> Path:
    """Write the page into the folder of a sweep, and return its path.

    Args:
        group: The folder.
        metric: The name of the metric.
        found: What the sweep has found.
        facts: What is worth knowing about it.
        images: The pictures, by their captions.
        command: The command that repeats it.
    """
    best = shown(metric, found.best.value if found.best else None)
    verdict = f"{metric} {best}, the best of {len(found.trials)} trials"
    parts = {"Result": facts, **images, "Trials": rows(group, metric, found)}
    path = group.folder / "report.html"
    write_whole(path, page(f"Sweep of {group.name}", verdict, parts, command))
    return path


def rows(group: Group, metric: str, found: Outcome) -> list[list[str | Link]]:
    """Return the table of trials: complete ones, the best first, then pruned and failed ones."""
    ranked = [*found.complete, *found.pruned, *found.failed]
    names = list(dict.fromkeys(name for trial in ranked for name in trial.params))
    head: list[str | Link] = ["trial", metric, "state", "epochs", "seconds", *names, "run folder"]
    return [head, *(row(group, metric, trial, names) for trial in ranked)]


def row(group: Group, metric: str, trial: FrozenTrial, names: list[str]) -> list[str | Link]:
    """Return the row of a trial, with a link to its run folder if that is on this machine."""
    run = group.run_folder(f"trial_{first_number(trial)}")
    told = REASON in trial.user_attrs
    state = ending(trial, metric) if told else trial.state.name.lower()
    address = f"{run.relative_to(group.folder)}/"
    place = (run.name, address) if run.exists() else trial.user_attrs.get(RUN, "")
    values = [as_text(trial.params.get(name, "")) for name in names]
    numbers = [str(epochs(trial)), f"{seconds(trial):.1f}"]
    return [str(first_number(trial)), shown(metric, trial.value), state, *numbers, *values, place]


def as_text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
