"""The settings of a run that differ from their defaults."""

import sys
from typing import Any

from jsonargparse import ArgumentParser

from src.runs.settings import Settings, flat, is_class, short, simple


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


def _differing(settings: Settings, usual: Settings) -> Settings:
    found: Settings = {}
    for name, value in settings.items():
        old = usual.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            part: Any = _differing(value, old)
            if is_class(value) and (part or value["class_path"] != old.get("class_path")):
                arguments = {"init_args": part["init_args"]} if part.get("init_args") else {}
                part = {"class_path": short(value), **arguments} if arguments else short(value)
            if part:
                found[name] = part
        elif simple(value) != simple(old):
            found[name] = value
    return found


def _with_classes(settings: Settings, defaults: Settings) -> Settings:
    """Return the defaults, extended by the defaults of the classes chosen in the settings."""
    found = dict(defaults)
    for name, value in settings.items():
        usual = defaults.get(name)
        if is_class(value):
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
