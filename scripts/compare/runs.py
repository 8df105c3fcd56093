"""The runs that compare.py looks at: found, read, grouped, and what their settings differ in."""

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
from src.runs.find import is_fit
from src.runs.settings import flat

# Where files lie and what is shown on the way say nothing about the experiment; which device was
# used is read from the results. `trainer.log` stands for the logger and how often it is called.
DROPPED = (
    "seed_everything", "config", "weights_only", "data.root", "checkpoint.dirpath",
    "checkpoint.filename", "trainer.log", "trainer.default_root_dir", "trainer.enable_",
    "trainer.accelerator", "figures", "report", "resume",
)  # fmt: skip


class UsageError(UserError):
    """Something on the command line that is not there to be compared."""


@dataclass
class Run:
    """What a run was and what came of it; `numbers` are metrics, seconds and parameters."""

    folder: Path
    settings: dict[str, Any]
    seed: Any
    numbers: dict[str, float]
    curves: dict[str, dict[float, float]]  # by name and by epochs done

    @property
    def facts(self) -> dict[str, Any]:
        """What runs may be chosen by."""
        return self.settings | {"seed": self.seed, "config": self.folder.parent.name}


Group = list[Run]  # of equal settings, one run a seed


def folders(patterns: list[str]) -> list[Path]:
    """Return the folders in and below those given that hold a config or results."""
    found: set[Path] = set()
    for pattern in patterns:
        # Path.glob takes no absolute pattern.
        places = [pattern] if Path(pattern).exists() else glob.glob(pattern)  # noqa: PTH207
        if not places:
            raise UsageError(
                f"{pattern}: no such folder, and no match as a pattern.\n"
                "Give folders of runs, such as lightning_logs, which fit makes."
            )
        for place in places:
            for name in ("config.yaml", "results.json"):
                found |= {file.parent for file in Path(place).rglob(name)}
    return sorted(found)


def gather(places: list[Path]) -> tuple[list[Run], list[str], bool]:
    """Return the finished runs, notes on which others are left out, and whether all were sound."""
    runs, unfinished, damaged = [], [], 0
    for folder in places:
        try:
            if (folder / "results.json").exists():
                runs.append(read(folder))
            elif is_fit(folder / "config.yaml"):
                unfinished.append(str(folder))
        except (UserError, OSError, ValueError) as error:
            print(f"error: {error}\nThe run {folder} is left out.", file=sys.stderr)
            damaged += 1
    notes = [f"Damaged, left out: {damaged}."] if damaged else []
    if unfinished:
        notes.append(f"Not finished, left out: {len(unfinished)} ({', '.join(unfinished)}).")
    return [run for run in runs if run], notes, not damaged


def read(folder: Path) -> Run | None:
    """Return the run of a folder, or None if it was one that did not train.

    Raises:
        UserError: If a file is missing or damaged; it is named.
    """
    results = parsed(folder / "results.json", json.loads)
    try:
        if results["epochs"] is None:
            return None
        facts = {
            "device": results["device"],
            "trainer.precision": results["precision"],
            "data.source": "NOT MNIST" if "NOT MNIST" in results["dataset"]["source"] else "",
            "data.train_size": results["dataset"]["sizes"]["train"],  # also where digits stood in
        }
        times = {"seconds": results["seconds"]["fit"], "parameters": results["parameters"]}
        numbers = {name: float(value) for name, value in (results["metrics"] | times).items()}
        seed = results["seed"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder}/results.json is damaged: {error!r}") from error
    settings = parsed(folder / "config.yaml", settings_of) | facts
    curves = folder / "curves.csv"  # which older runs do not have
    return Run(
        folder, settings, seed, numbers, parsed(curves, curves_of) if curves.exists() else {}
    )


def parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    """Return what a function makes of the text of a file."""
    try:
        return parse(path.read_text())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(f"{path} is missing or damaged: {reason}") from error


def settings_of(text: str) -> dict[str, Any]:
    """Return the settings in a config.yaml that belong to the experiment, on one level.

    Of the callbacks those of this project are left out, which record and draw.
    """
    config = yaml.safe_load(text)
    callbacks = config.get("trainer", {}).get("callbacks") or []
    callbacks = [callbacks] if isinstance(callbacks, dict) else callbacks
    others = [c for c in callbacks if not c["class_path"].startswith("src.")]
    config.setdefault("trainer", {})["callbacks"] = {
        c["class_path"].split(".")[-1]: c for c in others
    }
    told = flat({"model": config["model"], "data": config["data"], **config})
    told = {key: "none" if value is None else value for key, value in told.items()}
    return {key: value for key, value in told.items() if not key.startswith(DROPPED)}


def curves_of(text: str) -> dict[str, dict[float, float]]:
    """Return the finite values in a curves.csv, by name and by epochs done."""
    return {
        name: {epoch: value for epoch, value in zip(*points, strict=True) if isfinite(value)}
        for name, points in read_curves(text).items()
    }


def grouped(runs: Iterable[Run]) -> list[Group]:
    """Return groups of runs that differ in the seed alone; of the same seed the newest counts."""
    groups: dict[frozenset[Any], dict[Any, Run]] = defaultdict(dict)
    for run in sorted(runs, key=lambda run: (run.folder / "results.json").stat().st_mtime):
        groups[frozenset(run.settings.items())][run.seed] = run
    return [sorted(group.values(), key=lambda run: run.folder) for group in groups.values()]


def differing(groups: list[Group]) -> list[str]:
    """Return the settings that differ, without the arguments that only some of the classes have."""
    settings = [group[0].settings for group in groups]
    names = dict.fromkeys(name for one in settings for name in one)
    return [name for name in names if _differs(settings, name) and not _implied(settings, name)]


def _differs(settings: list[dict[str, Any]], name: str) -> bool:
    return len({one.get(name) for one in settings}) > 1


def _implied(settings: list[dict[str, Any]], name: str) -> bool:
    """Return whether a setting has one value, and is there or not as the classes above it are."""
    above = [name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)]
    classes = [tuple(one.get(parent) for parent in above) for one in settings]
    both = {(kind, one.get(name)) for kind, one in zip(classes, settings, strict=True)}
    return len({one[name] for one in settings if name in one}) == 1 and len(both) == len({*classes})


def lookup(flag: str, name: str, names: Iterable[str]) -> str:
    """Return the one of the names that is meant: this one, or the only one that ends in it."""
    known = list(names)
    ends = [one for one in known if one.endswith(f".{name}")]
    if name in known or len(ends) == 1:
        return name if name in known else ends[0]
    endings = {ending: 0 for one in known for ending in (one, one.rsplit(".", 1)[-1])}
    near = ends or get_close_matches(name, endings, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known[:12])}."
    raise UsageError(f"{flag} {name}: no such name in these runs.\n{meant}")


def chosen(runs: list[Run], conditions: list[str]) -> list[Run]:
    """Return the runs of which each condition `KEY=VALUE` is true."""
    for condition in conditions:
        name, equals, text = condition.partition("=")
        if not equals:
            raise UsageError(f"--where {condition}: expected KEY=VALUE, such as --where lr=0.1.")
        name = lookup("--where", name, dict.fromkeys(key for run in runs for key in run.facts))
        known = [run for run in runs if name in run.facts]
        runs = [run for run in known if same(run.facts[name], text)]
        if not runs:
            there = ", ".join(sorted({str(run.facts[name]) for run in known}))
            raise UserError(f"--where {condition}: no run has this; there are {there}.")
    return runs


def same(value: Any, text: str) -> bool:
    """Return whether a text means a value: 1e-2 is 0.01, and [64,32] is [64, 32]."""
    try:
        return float(value) == float(text)
    except ValueError:
        return str(value).replace(" ", "").lower() == text.replace(" ", "").lower()


def ordered(groups: list[Group], name: str) -> list[Group]:
    """Return the groups by a number or a setting: greatest accuracy first, else smallest."""
    sign = -1 if name.endswith("/acc") else 1

    def place(group: Group) -> tuple[int, Any]:
        numbers = values(group, name)
        value = mean(numbers) if numbers else group[0].settings.get(name)
        if isinstance(value, str):
            return 1, value
        return (2, 0) if value is None or isnan(value) else (0, sign * value)

    return sorted(groups, key=place)


def values(group: Group, name: str) -> list[float]:
    """Return a number of every run of a group that has it."""
    return [run.numbers[name] for run in group if name in run.numbers]
