"""Checks that one-letter typos in config keys and flags are refused.

    ./scripts/run faults typos

Each letter is dropped, doubled or swapped with the next, in every key of every config in configs/,
both in the file and as a flag, and in every flag of `fit`. It counts how many typos are refused,
and for how many the right key is suggested. Commands are only parsed; nothing is trained.
"""

import contextlib
import io
import re
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from src.command.config_files import read_strictly
from src.command.flags import ExperimentFlags
from src.command.quiet import quieten
from src.imports import restrict_imports
from src.places import CONFIGS

BASE = ["fit", "--config", str(CONFIGS / "mnist_mlp.yaml")]
Keys = tuple[str | int, ...]  # path of a value in a config: keys and list indices


@dataclass
class Typo:
    """A command with a typo, the right name and the wrong one."""

    words: list[str]
    right: str
    wrong: str
    text: str | None = None  # content of a config file to append to the command


@dataclass
class Counts:
    """Number of typos, and how many were handled; a typo that is a valid key does not count."""

    typos: int = 0
    refused: int = 0
    suggested: int = 0
    failures: list[str] = field(default_factory=list)


def typos(word: str) -> list[str]:
    """Return all variants of a word with a letter dropped, doubled, or swapped with the next."""
    places = range(len(word))
    dropped = [word[:i] + word[i + 1 :] for i in places]
    doubled = [word[:i] + word[i] + word[i:] for i in places]
    swapped = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in places[:-1]]
    return sorted({*dropped, *doubled, *swapped} - {word, ""})


def all_typos(fit: Any) -> list[Typo]:
    """Return the typos in every key of every config, in the file and as a flag, and in flags."""
    files = [path for path in sorted(CONFIGS.rglob("*.yaml")) if path.parent.name != "sweeps"]
    files = [path for path in files if path != CONFIGS / "local.yaml"]
    found = [typo for path in files for typo in in_config(path)]
    return found + [typo for flag in flags(fit) for typo in in_flag(BASE, flag.split("."))]


def in_config(path: Path) -> Iterator[Typo]:
    """Yield the typos in the keys of one config; an overlay is parsed on top of an experiment."""
    config = yaml.safe_load(path.read_text())
    is_experiment = path.parent == CONFIGS and path.stem != "defaults"
    before = ["fit"] if is_experiment else BASE
    for keys, value in entries(config):
        name = str(keys[-1])
        for wrong in typos(name.rstrip("+")):
            text = yaml.safe_dump(renamed(config, keys, wrong + "+" * name.endswith("+")))
            yield Typo(before, name.rstrip("+"), wrong, text)
        if all(isinstance(key, str) for key in keys):
            below = [str(key) for key in next((more for more, _ in entries(value)), ())]
            parts = [str(key) for key in keys]
            yield from in_flag([*before, "--config", str(path)], parts, ".".join(["", *below]))


def in_flag(before: list[str], parts: list[str], below: str = "") -> Iterator[Typo]:
    """Yield the typos in the last part of a dotted flag; `below` is appended unchanged."""
    *above, name = parts
    right = name.rstrip("+")
    for wrong in typos(right):
        flag = ".".join([*above, name.replace(right, wrong)]) + below.rstrip(".")
        yield Typo([*before, f"--{flag}=1"], right, wrong)


def entries(config: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Yield the path and the value of every key in a config."""
    if not isinstance(config, dict | list):
        return
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        if isinstance(key, str):
            yield (*keys, key), value
        yield from entries(value, (*keys, key))


def renamed(config: Any, keys: Keys, wrong: str) -> Any:
    """Return a copy of a config in which the last key of a path is renamed."""
    copy = deepcopy(config)
    parent = copy
    for key in keys[:-1]:
        parent = parent[key]
    parent[wrong] = parent.pop(keys[-1])
    return copy


class Built(Exception):
    """Carries the parsers out of the constructor that would go on to run a command."""


class ParsersOnly(ExperimentFlags):
    """Builds the parsers of the command line, and nothing else."""

    def parse_arguments(self, parser: Any, args: Any) -> None:
        raise Built(parser, self.parsers["fit"])


def build_parsers() -> tuple[Any, Any]:
    """Return the parser of the command line, and that of `fit` within it."""
    quieten()
    restrict_imports()
    read_strictly()
    try:
        ParsersOnly("fit")
    except Built as built:
        return built.args
    raise AssertionError("the command line has no parser")


def refusal(parser: Any, typo: Typo) -> str | None:
    """Return the parser's error message for a command, or None if the command is accepted."""
    output = io.StringIO()
    words = list(typo.words)
    try:
        with (
            tempfile.NamedTemporaryFile("w", suffix=".yaml") as config,
            contextlib.redirect_stderr(output),
            contextlib.redirect_stdout(output),
        ):
            if typo.text is not None:
                config.write(typo.text)
                config.flush()
                words += ["--config", config.name]
            parser.parse_args(words)
    except SystemExit as stop:
        return output.getvalue() if stop.code == 2 else None
    return None


def count(parser: Any, fit: Any, given: list[Typo]) -> Counts:
    """Count the typos refused in three lines, and those for which the right key is suggested."""
    counts, valid = Counts(), {part for flag in flags(fit) for part in flag.split(".")}
    for typo in given:
        text = refusal(parser, typo)
        if text is None and typo.wrong in valid:
            continue
        counts.typos += 1
        refused = text is not None and len(text.splitlines()) <= 3
        meant = re.findall(r"[\w.]+", (text or "").rpartition("Did you mean")[2])
        suggested = any(typo.right in name.strip(".").split(".") for name in meant)
        counts.refused += refused
        counts.suggested += refused and suggested
        if not refused:
            counts.failures.append(f"{typo.right} -> {typo.wrong}: {text} {typo.words[-1]}")
    return counts


def flags(fit: Any) -> list[str]:
    """Return every flag of fit, without the dashes."""
    return [*fit.get_defaults().keys(branches=True)]
