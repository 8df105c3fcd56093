"""Finds, reads, filters and groups the runs that `compare` shows."""

import glob
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite, isnan
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from src.errors import UserError
from src.runs.curves import read_curves
from src.runs.find import find, is_fit
from src.runs.settings import flat

# Settings that do not belong to the experiment: paths, logging, figures. The device is read from
# the results instead. `trainer.log` covers `logger` and `log_every_n_steps`.
IGNORED_SETTINGS = (
    "seed_everything", "config", "weights_only", "data.root", "checkpoint.dirpath",
    "checkpoint.filename", "trainer.log", "trainer.default_root_dir", "trainer.enable_",
    "trainer.accelerator", "figures", "report", "resume",
)  # fmt: skip


class UsageError(UserError):
    """A folder, setting or metric on the command line that does not exist in the runs."""


@dataclass
class Run:
    """Settings and results of a run; `numbers` holds metrics, seconds and parameters."""

    folder: Path
    settings: dict[str, Any]
    seed: Any
    numbers: dict[str, float]
    curves: dict[str, dict[float, float]]  # by name, then by completed epochs

    @property
    def facts(self) -> dict[str, Any]:
        """The settings that --where can filter by, with seed and config."""
        return self.settings | {"seed": self.seed, "config": self.folder.parent.name}


Group = list[Run]  # equal settings, one run per seed


def folders(patterns: list[str]) -> list[Path]:
    """Return all folders at or below the given ones that hold a config or results."""
    found: set[Path] = set()
    for pattern in patterns:
        if pattern == "latest":
            pattern = str(find(pattern, None, "RUN"))
        # Path.glob does not accept absolute patterns.
        places = [pattern] if Path(pattern).exists() else glob.glob(pattern)  # noqa: PTH207
        if not places:
            raise UsageError(
                f"{pattern}: no such folder, and no folder matches it as a pattern.\n"
                "Give folders of runs, e.g. lightning_logs, which fit creates."
            )
        for place in places:
            for name in ("config.yaml", "results.json"):
                found |= {file.parent for file in Path(place).rglob(name)}
    return sorted(found)


def gather(places: list[Path]) -> tuple[list[Run], list[str], bool]:
    """Return the finished runs, notes on excluded runs, and whether no run was damaged."""
    runs, unfinished, damaged = [], [], 0
    for folder in places:
        try:
            if (folder / "results.json").exists():
                runs.append(read(folder))
            elif is_fit(folder / "config.yaml"):
                unfinished.append(str(folder))
        except (UserError, OSError, ValueError) as error:
            print(f"error: {error}\nThe run {folder} is excluded.", file=sys.stderr)
            damaged += 1
    notes = [f"Excluded, as damaged: {damaged}."] if damaged else []
    if unfinished:
        notes.append(f"Excluded, as not finished: {len(unfinished)} ({', '.join(unfinished)}).")
    return [run for run in runs if run], notes, not damaged


def read(folder: Path) -> Run | None:
    """Return the run in a folder, or None if the run did not train.

    Raises:
        UserError: If a file is missing or damaged; the message names it.
    """
    results = parsed(folder / "results.json", json.loads)
    try:
        if results["epochs"] is None:
            return None
        facts = {
            "device": results["device"],
            "trainer.precision": results["precision"],
            "data.source": "NOT MNIST" if "NOT MNIST" in results["dataset"]["source"] else "",
            "data.train_size": results["dataset"]["sizes"]["train"],  # also without MNIST
        }
        times = {"seconds": results["seconds"]["fit"], "parameters": results["parameters"]}
        numbers = {name: float(value) for name, value in (results["metrics"] | times).items()}
        seed = results["seed"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder}/results.json is damaged: {error!r}") from error
    settings = parsed(folder / "config.yaml", settings_of) | facts
    curves = folder / "curves.csv"  # older runs do not have it
    return Run(
        folder, settings, seed, numbers, parsed(curves, curves_of) if curves.exists() else {}
    )


def parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    """Read a file and parse its text.

    Raises:
        UserError: If the file is missing or cannot be parsed.
    """
    try:
        return parse(path.read_text())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(f"{path} is missing or damaged: {reason}") from error


def settings_of(text: str) -> dict[str, Any]:
    """Return the experiment's settings in a config.yaml as a flat dictionary.

    Callbacks of this project are excluded, as they only record and draw.
    """
    config = yaml.safe_load(text)
    callbacks = config.get("trainer", {}).get("callbacks") or []
    callbacks = [callbacks] if isinstance(callbacks, dict) else callbacks
    others = [c for c in callbacks if not c["class_path"].startswith("src.")]
    config.setdefault("trainer", {})["callbacks"] = {
        c["class_path"].split(".")[-1]: c for c in others
    }
    settings = flat({"model": config["model"], "data": config["data"], **config})
    settings = {key: "none" if value is None else value for key, value in settings.items()}
    return {key: value for key, value in settings.items() if not key.startswith(IGNORED_SETTINGS)}


def curves_of(text: str) -> dict[str, dict[float, float]]:
    """Return the finite values in a curves.csv, by name, then by completed epochs."""
    return {
        name: {epoch: value for epoch, value in zip(*points, strict=True) if isfinite(value)}
        for name, points in read_curves(text).items()
    }


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


def chosen(runs: list[Run], conditions: list[str]) -> list[Run]:
    """Return the runs that meet every condition `KEY=VALUE`."""
    for condition in conditions:
        name, equals, text = condition.partition("=")
        if not equals:
            raise UsageError(f"--where {condition}: expected KEY=VALUE, e.g. --where lr=0.1.")
        name = lookup("--where", name, dict.fromkeys(key for run in runs for key in run.facts))
        known = [run for run in runs if name in run.facts]
        runs = [run for run in known if same(run.facts[name], text)]
        if not runs:
            existing = ", ".join(sorted({str(run.facts[name]) for run in known}))
            raise UserError(f"--where {condition}: no run has this value; they have {existing}.")
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
