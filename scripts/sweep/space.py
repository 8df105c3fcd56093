"""The space of a sweep: the settings that are tried and their values, read from a YAML file."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Params = dict[str, Any]  # a value for each setting of a trial, by name


@dataclass
class Setting:
    """A setting that differs between trials: one of some choices, or a number in a range.

    Attributes:
        name: Its flag without dashes, e.g. `model.optimizer.lr`.
        choices: Its values as `label` gives them; empty for a range.
        low: The lowest number of the range.
        high: The highest; whole numbers are tried if both are whole.
        step: The distance of the numbers; None for any, or 1 for whole ones.
        log: Whether the logarithm of the number is uniform.
        when: Earlier settings, and the labels that they must have for this one to be set at all.
    """

    name: str
    choices: list[Any] = field(default_factory=list)
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    when: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def is_set(self, params: Params) -> bool:
        """Return whether a trial has this setting, by the values of the earlier ones."""
        return all(k in params and params[k] in labels for k, labels in self.when.items())

    def extremes(self) -> list[Any]:
        """Return the values that the parser must accept: all choices, or the ends of the range."""
        return self.choices or [self.low, self.high]

    def grid(self) -> list[Any]:
        """Return all values, or an empty list if they cannot be counted."""
        step = self.step or (1 if self.whole and not self.log else None)
        if self.choices or step is None:
            return self.choices
        return [self.low + i * step for i in range(round((self.high - self.low) / step) + 1)]

    def suggested(self, trial: Any) -> Any:
        """Return the value that Optuna proposes for a trial."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        if self.whole:
            step = self.step or 1
            return trial.suggest_int(self.name, self.low, self.high, step=step, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def __str__(self) -> str:
        values = ", ".join(map(text, self.choices)) or self._range()
        needs = [f"{name} {'/'.join(map(text, labels))}" for name, labels in self.when.items()]
        return values + (f" (if {', '.join(needs)})" if needs else "")

    def _range(self) -> str:
        steps = f" in steps of {self.step:g}" if self.step else ", whole" if self.whole else ""
        return f"{self.low:g} to {self.high:g}{steps}" + ", logarithmic" * self.log


Space = Sequence[Setting]


def suggested(space: Space, trial: Any) -> Params:
    """Return the values that Optuna proposes for the settings of a trial."""
    params: Params = {}
    for setting in space:
        if setting.is_set(params):
            params[setting.name] = setting.suggested(trial)
    return params


def words(params: Params) -> list[str]:
    """Return values as words of `fit`."""
    return [f"--{name}={text(value)}" for name, value in params.items()]


def label(value: Any) -> Any:
    """Return a value of YAML as Optuna stores a choice: lists and mappings become JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def grid(space: Space, chosen: Params | None = None) -> Iterator[Params]:
    """Yield all combinations of the values of the settings."""
    if not space:
        yield chosen or {}
        return
    first, chosen = space[0], chosen or {}
    for part in [{first.name: v} for v in first.grid()] if first.is_set(chosen) else [{}]:
        yield from grid(space[1:], chosen | part)


def covering(space: Space) -> Iterator[Params]:
    """Yield a few combinations in which each choice, and each end of a range, is there once."""
    left = {(s.name, v): s for s in space for v in s.extremes()}
    while left:
        name, value = next(iter(left))
        params = {name: value}
        for setting in reversed(space):  # what the chosen ones need, the last first
            if setting.name in params:
                params |= {k: labels[0] for k, labels in setting.when.items() if k not in params}
        for setting in space:
            if setting.is_set(params) and setting.name not in params:
                fresh = [v for v in setting.extremes() if (setting.name, v) in left]
                params[setting.name] = (fresh or setting.extremes())[0]
        params = {s.name: params[s.name] for s in space if s.name in params}
        for pair in params.items():
            left.pop(pair, None)
        yield params
