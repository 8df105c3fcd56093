"""Finds and reads the runs that `compare` shows."""

import glob
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from src.errors import UserError
from src.places import OURS
from src.runs.curves import read_curves
from src.runs.find import find, is_fit
from src.runs.settings import flat

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # fifteen times as fast
# Settings that do not belong to the experiment: paths, logging, figures. The device is read from
# the results instead. `trainer.log` covers `logger` and `log_every_n_steps`.
IGNORED_SETTINGS = (
    "seed_everything", "config", "weights_only", "data.root", "checkpoint.dirpath",
    "checkpoint.filename", "trainer.log", "trainer.default_root_dir", "trainer.enable_",
    "trainer.accelerator", "figures", "report", "resume", "tag", "note", "folder",
    "threads",
)  # fmt: skip


class UsageError(UserError):
    """A folder, setting or metric on the command line that does not exist in the runs."""


@dataclass
class Run:
    """Settings and results of a run.

    Attributes:
        folder: The run folder.
        settings: The settings of the experiment, by dotted name.
        seed: The seed.
        numbers: Metrics, seconds and parameters.
        curves: Values by name, then by completed epochs.
        test_set: Name of the data and number of samples that were tested.
        tags: What the user has called the run.
        note: What the user has written about it.
    """

    folder: Path
    settings: dict[str, Any]
    seed: Any
    numbers: dict[str, float]
    curves: dict[str, dict[float, float]]
    test_set: str = ""
    tags: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """The settings that --where can filter by, with seed and config."""
        return self.settings | {"seed": self.seed, "config": self.folder.parent.name}


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
            "device": results["device"].partition(",")[0],  # without the number of threads
            "trainer.precision": results["precision"],
            "data.source": "NOT MNIST" if "NOT MNIST" in results["dataset"]["source"] else "",
            "data.train_size": results["dataset"]["sizes"]["train"],  # also without MNIST
        }
        times = {"seconds": results["seconds"]["fit"], "parameters": results["parameters"]}
        numbers = {name: float(value) for name, value in (results["metrics"] | times).items()}
        seed, test_set = results["seed"], test_set_of(results)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder}/results.json is damaged: {error!r}") from error
    settings, tags, note = parsed(folder / "config.yaml", config_of)
    path = folder / "curves.csv"  # older runs do not have it
    curves = parsed(path, curves_of) if path.exists() else {}
    return Run(folder, settings | facts, seed, numbers, curves, test_set, tags, note)


def test_set_of(results: dict[str, Any]) -> str:
    """Return what tells the test sets of two runs apart; test metrics compare on one only."""
    data = results["dataset"]
    name = "digits, NOT MNIST" if "NOT MNIST" in data["source"] else data.get("name", "")
    return f"{name}, {results.get('tested', '')} samples"


def parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    """Read a file and parse its text.

    Raises:
        UserError: If the file is missing or cannot be parsed.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(f"{path} is missing or damaged: {reason}") from error


def config_of(text: str) -> tuple[dict[str, Any], list[str], str]:
    """Return the settings, tags and note in a config.yaml, which the user may have edited."""
    config = LOADER(text).get_single_data()
    tags, note = config.get("tag") or [], config.get("note") or ""
    return settings_of(config), [tags] if isinstance(tags, str) else [*map(str, tags)], str(note)


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return the experiment's settings as a flat dictionary.

    Callbacks of this project are excluded, as they only record and draw.
    """
    callbacks = config.get("trainer", {}).get("callbacks") or []
    callbacks = [callbacks] if isinstance(callbacks, dict) else callbacks
    others = [c for c in callbacks if not OURS.match(c["class_path"])]
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
