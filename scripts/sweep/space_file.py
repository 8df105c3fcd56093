"""Reads the space of a sweep, and refuses what is wrong in it before the first trial."""

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from difflib import get_close_matches
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from scripts.many.resolved import resolved
from scripts.sweep.space import Params, Setting, Space, covering, label, words
from src.command.checks import without_effect
from src.command.config_files import check_file, read_strictly
from src.errors import UserError
from src.runs.finished import FREE

KEYS = ("choices", "low", "high", "step", "log", "when")
EXAMPLE = "expected lines such as  model.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}"


def read_space(path: str, fit_words: Sequence[str]) -> Space:
    """Return the space in a file, whose settings and values the parser of `fit` accepts.

    Args:
        path: The file.
        fit_words: The words of `fit` that all trials share.

    Raises:
        UserError: With the setting, what was found and what was expected.
    """
    space: list[Setting] = []
    for name, spec in loaded(path).items():
        try:
            space.append(setting(name, spec, {one.name: one for one in space}))
        except (UserError, TypeError) as error:
            raise UserError(f"{path}: {name}: {error}") from error
    for params in covering(space):
        for complaint in refused(fit_words, params):
            first = "\n".join(complaint.splitlines()[:2])
            raise UserError(f"{path}: {first}\nTried: {' '.join(words(params))}")
    return space


def loaded(path: str) -> dict[str, Any]:
    """Return the content of the file."""
    file = Path(path)
    if not file.is_file():
        near = get_close_matches(file.name, [one.name for one in file.parent.glob("*.yaml")])
        hint = f"\nDid you mean {file.parent / near[0]}?" if near else ""
        raise UserError(f"--space {path}: no such file.{hint}")
    read_strictly()
    try:
        check_file(path)
        content = jsonargparse.get_loader("yaml")(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, TypeError) as error:
        raise UserError(f"{path}, {error}\n{EXAMPLE}") from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} has no settings: {EXAMPLE}")
    return content


def setting(name: str, spec: Any, earlier: dict[str, Setting]) -> Setting:
    """Return a setting by its lines in the file: a list of choices, or a mapping.

    Args:
        name: Its flag without dashes.
        spec: What the file has after the name.
        earlier: The settings above it.

    Raises:
        UserError: If something about it is wrong.
    """
    if name == "seed_everything":
        raise UserError("the best seed is luck; leave it out, and give --refit N.")
    if str(name).startswith(FREE) or not isinstance(name, str):
        raise UserError("this does not change the training; leave it out.")
    if isinstance(spec, list):
        spec = {"choices": spec}
    if not isinstance(spec, dict):
        raise UserError(f"got {spec}; expected a list of choices, or low and high.")
    for key in spec:
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}?" if near else f"Expected some of {', '.join(KEYS)}."
            raise UserError(f"there is no key {key}.\n{hint}")
    when = conditions(spec.get("when") or {}, earlier)
    if "choices" in spec:
        return Setting(name, chosen(spec), when=when)
    return ranged(name, spec, when)


def conditions(when: Any, earlier: dict[str, Setting]) -> dict[str, list[Any]]:
    """Return which values the earlier settings must have."""
    if not isinstance(when, dict):
        raise UserError(f"when: got {when}; expected e.g. when: {{model.optimizer: SGD}}")
    found = {k: [label(v) for v in vs] if isinstance(vs, list) else [vs] for k, vs in when.items()}
    for name, labels in found.items():
        if name not in earlier:
            near = get_close_matches(str(name), [*earlier], n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Give {name} first."
            raise UserError(f"when: {name} is not above it in this file.\n{hint}")
        known = earlier[name].choices
        for value in [one for one in labels if one not in known]:
            all_of = ", ".join(map(str, known)) or "choices, not a range"
            raise UserError(f"when: {name} is never {value}; expected some of {all_of}.")
    return found


def chosen(spec: dict[str, Any]) -> list[Any]:
    """Return the choices."""
    choices, others = spec["choices"], spec.keys() - {"choices", "when"}
    if others:
        raise UserError(f"got choices and {min(others)}; give choices, or low and high.")
    if not isinstance(choices, list) or not choices:
        raise UserError(f"choices: got {choices}; expected a list, such as [32, 64].")
    labels = [label(value) for value in choices]
    for value in [one for one in labels if labels.count(one) > 1]:
        raise UserError(f"the choice {value} is given twice.")
    return labels


def ranged(name: str, spec: dict[str, Any], when: dict[str, list[Any]]) -> Setting:
    """Return a setting with numbers from `low` to `high`."""
    numbers = {key: spec[key] for key in ("low", "high", "step") if key in spec}
    for key in ("low", "high"):
        if key not in numbers:
            raise UserError(f"{key} is missing; give low and high, or a list of choices.")
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise UserError(f"{key}: got {value}; expected a number.")
    log = spec.get("log", False)
    if not isinstance(log, bool):
        raise UserError(f"log: got {log}; expected true or false.")
    found = Setting(name, [], **numbers, log=log, when=when)
    for complaint in complaints(found):
        raise UserError(complaint)
    return found


def complaints(found: Setting) -> Iterator[str]:
    """Yield what is wrong with the numbers of a range."""
    low, high, step = found.low, found.high, found.step
    if low >= high:
        yield f"low {low} is not below high {high}."
    if found.log and low <= 0:
        yield f"low {low} has no logarithm; give a low above 0, or log: false."
    if found.log and step is not None:
        yield f"got log and step {step}; expected one of them."
    if step is not None:
        if step <= 0 or (found.whole and not isinstance(step, int)):
            yield f"step: got {step}; expected a {'whole ' * found.whole}number above 0."
        if (Fraction(str(high)) - Fraction(str(low))) % Fraction(str(step)):
            yield f"no whole number of steps of {step} leads from {low} to {high}."


def refused(fit_words: Sequence[str], params: Params) -> Iterator[str]:
    """Yield why `fit` refuses some values, in the words of its parser, or which have no effect."""
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            _, settings = resolved([*fit_words, *words(params)])
    except SystemExit:
        yield told.getvalue().strip().removeprefix("error: ")
    else:
        yield from without_effect(params, settings["model"]["init_args"].get("scheduler"))
