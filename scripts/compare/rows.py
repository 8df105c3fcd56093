"""Groups, filters and sorts the runs: a row of the table is a group."""

from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches
from math import isnan
from statistics import mean
from typing import Any

from scripts.compare.runs import Run, UsageError
from src.errors import UserError

Group = list[Run]  # equal settings, one run per seed


def grouped(runs: Iterable[Run]) -> list[Group]:
    """Group runs that differ only in the seed; of runs with the same seed, keep the newest."""
    groups: dict[frozenset[Any], dict[Any, Run]] = defaultdict(dict)
    for run in sorted(runs, key=lambda run: (run.folder / "results.json").stat().st_mtime):
        groups[frozenset(run.settings.items())][run.seed] = run
    return [sorted(group.values(), key=lambda run: run.folder) for group in groups.values()]


def differing(groups: list[Group]) -> list[str]:
    """Return the settings that differ, without those that follow from the class alone."""
    settings = [group[0].settings for group in groups]
    names = dict.fromkeys(name for one in settings for name in one)
    return [name for name in names if _differs(settings, name) and not _implied(settings, name)]


def _differs(settings: list[dict[str, Any]], name: str) -> bool:
    return len({one.get(name) for one in settings}) > 1


def _implied(settings: list[dict[str, Any]], name: str) -> bool:
    """Return whether a setting has one value and its presence follows from its classes."""
    above = [name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)]
    classes = [tuple(one.get(parent) for parent in above) for one in settings]
    both = {(kind, one.get(name)) for kind, one in zip(classes, settings, strict=True)}
    return len({one[name] for one in settings if name in one}) == 1 and len(both) == len({*classes})


def lookup(flag: str, name: str, names: Iterable[str]) -> str:
    """Return the name that matches exactly, or else the only one that ends in `.name`.

    Raises:
        UsageError: If there is no such name, or several.
    """
    known = list(names)
    ends = [one for one in known if one.endswith(f".{name}")]
    if name in known or len(ends) == 1:
        return name if name in known else ends[0]
    endings = {ending: 0 for one in known for ending in (one, one.rsplit(".", 1)[-1])}
    near = ends or get_close_matches(name, endings, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Names: {', '.join(known[:12])}."
    raise UsageError(f"{flag} {name}: no such name in these runs.\n{hint}")


def tagged(runs: list[Run], tags: list[str]) -> list[Run]:
    """Return the runs that have all of these tags."""
    for tag in tags:
        found = [run for run in runs if tag in run.tags]
        if not found:
            known = ", ".join(sorted({one for run in runs for one in run.tags})) or "none"
            raise UserError(
                f"--tag {tag}: no run has this tag; they have {known}.\n"
                "Give it to a run by fit --tag NAME, or in the line `tag` of its config.yaml."
            )
        runs = found
    return runs


def chosen(runs: list[Run], conditions: list[str], flag: str = "--where") -> list[Run]:
    """Return the runs that meet every condition `KEY=VALUE`."""
    for condition in conditions:
        name, equals, text = condition.partition("=")
        if not equals:
            raise UsageError(f"{flag} {condition}: expected KEY=VALUE, e.g. {flag} lr=0.1.")
        name = lookup(flag, name, dict.fromkeys(key for run in runs for key in run.facts))
        known = [run for run in runs if name in run.facts]
        runs = [run for run in known if same(run.facts[name], text)]
        if not runs:
            existing = ", ".join(sorted({str(run.facts[name]) for run in known}))
            raise UserError(f"{flag} {condition}: no run has this value; they have {existing}.")
    return runs


def same(value: Any, text: str) -> bool:
    """Return whether a text denotes a value: 1e-2 equals 0.01, and [64,32] equals [64, 32]."""
    try:
        return float(value) == float(text)
    except ValueError:
        return str(value).replace(" ", "").lower() == text.replace(" ", "").lower()


def ordered(groups: list[Group], name: str) -> list[Group]:
    """Sort the groups by a number or setting: accuracies descending, all others ascending."""
    sign = -1 if name.endswith("/acc") else 1

    def sort_key(group: Group) -> tuple[int, Any]:
        numbers = values(group, name)
        value = mean(numbers) if numbers else group[0].settings.get(name)
        if isinstance(value, str):
            return 1, value
        return (2, 0) if value is None or isnan(value) else (0, sign * value)

    return sorted(groups, key=sort_key)


def values(group: Group, name: str) -> list[float]:
    """Return a number, e.g. a metric, of every run in a group that has it."""
    return [run.numbers[name] for run in group if name in run.numbers]
