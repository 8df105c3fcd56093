"""Settings flattened to one level, and the settings that differ between two configs."""

from collections.abc import Iterator
from typing import Any, NamedTuple

Settings = dict[str, Any]


def flat(settings: Settings, prefix: str = "") -> Settings:
    """Return nested settings as one level of numbers and strings; None stays None.

    A class with its arguments, `{"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}` under
    `optimizer`, becomes `optimizer: SGD` and `optimizer.lr: 0.1`; a group of settings, `set`.
    """
    found: Settings = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if is_class(value):
            found[name] = short(value)
            found |= flat(value.get("init_args") or {}, f"{name}.")
        elif isinstance(value, dict):
            found |= {name: "set", **flat(value, f"{name}.")}
        elif not str(key).startswith("_"):
            found[name] = simple(value)
    return found


class Change(NamedTuple):
    """A setting that differs between two configs: its flag without dashes, and both values."""

    name: str
    old: Any
    new: Any


def changes(then: Any, now: Any, name: str = "") -> Iterator[Change]:
    """Yield each setting that differs between two nested configs."""
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        then, now = dict(enumerate(then)), dict(enumerate(now))
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            part = "" if key in ("class_path", "init_args") else str(key)
            yield from changes(then.get(key), now.get(key), ".".join(filter(None, (name, part))))
    elif then != now:
        yield Change(name, then, now)


def is_class(value: Any) -> bool:
    """Return whether a setting names a class with its arguments."""
    return isinstance(value, dict) and "class_path" in value


def specs(value: Any) -> list[Any]:
    """Return class and arguments of each logger or callback in a config: one, several, or none."""
    return value if isinstance(value, list) else [value] * bool(value)


def short(value: Settings) -> str:
    """Return the name of a class without its module."""
    return str(value["class_path"]).rsplit(".", 1)[-1]


def simple(value: Any) -> Any:
    """Return a setting as None, a number or a string."""
    if isinstance(value, list | tuple):
        return str([short(one) if is_class(one) else one for one in value])
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
