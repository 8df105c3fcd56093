"""Settings flattened to one level, and the settings that differ from their defaults."""

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from jsonargparse import ArgumentParser

Settings = dict[str, Any]


def flat(settings: Settings, prefix: str = "") -> Settings:
    """Return nested settings as one level of numbers and strings; None stays None.

    A class with its arguments, `{"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}` under
    `optimizer`, becomes `optimizer: SGD` and `optimizer.lr: 0.1`; a group of settings, `set`.
    """
    found: Settings = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if _is_class(value):
            found[name] = _short(value)
            found |= flat(value.get("init_args") or {}, f"{name}.")
        elif isinstance(value, dict):
            found |= {name: "set", **flat(value, f"{name}.")}
        elif not str(key).startswith("_"):
            found[name] = _plain(value)
    return found


def differences(settings: Settings, defaults: Settings) -> dict[str, tuple[Any, Any]]:
    """Return value and default of each setting that differs from its default, by name.

    Arguments of a class are compared with the defaults of that class.
    """
    ours, usual = flat(settings), flat(_with_classes(settings, defaults))
    return {
        name: (value, usual.get(name)) for name, value in ours.items() if value != usual.get(name)
    }


def short_form(settings: Settings, defaults: Settings) -> Settings:
    """Return nested settings as a config has them: what differs from the defaults, nothing else.

    Arguments of a class are compared with the defaults of that class.
    """
    return _differing(settings, _with_classes(settings, defaults))


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


def _differing(settings: Settings, usual: Settings) -> Settings:
    found: Settings = {}
    for name, value in settings.items():
        old = usual.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            part = _differing(value, old)
            if _is_class(value) and (part or value["class_path"] != old.get("class_path")):
                arguments = {"init_args": part["init_args"]} if part.get("init_args") else {}
                part = {"class_path": _short(value), **arguments} if arguments else _short(value)
            if part:
                found[name] = part
        elif _plain(value) != _plain(old):
            found[name] = value
    return found


def _with_classes(settings: Settings, defaults: Settings) -> Settings:
    """Return the defaults, extended by the defaults of the classes chosen in the settings."""
    found = dict(defaults)
    for name, value in settings.items():
        usual = defaults.get(name)
        if _is_class(value):
            own = _with_classes(value.get("init_args") or {}, class_defaults(value["class_path"]))
            kind = usual["class_path"] if isinstance(usual, dict) else usual or ""
            found[name] = {"class_path": kind, "init_args": own}
        elif isinstance(value, dict) and isinstance(usual, dict):
            found[name] = _with_classes(value, usual)
    return found


def class_defaults(path: str) -> Settings:
    """Return the arguments of a class and their defaults, None for a required one.

    The result is empty if the path names a function, or a class nested in another one.
    """
    module, _, name = path.rpartition(".")
    parser, target = ArgumentParser(), getattr(sys.modules.get(module), name, None)
    if isinstance(target, type):
        parser.add_class_arguments(target, fail_untyped=False)
    return parser.get_defaults().as_dict()


def _is_class(value: Any) -> bool:
    return isinstance(value, dict) and "class_path" in value


def _short(value: Settings) -> str:
    return str(value["class_path"]).rsplit(".", 1)[-1]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return str([_short(one) if _is_class(one) else one for one in value])
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
