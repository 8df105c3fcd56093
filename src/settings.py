"""Nested settings as one level of names and values."""

from typing import Any


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings as one level of numbers and strings; None stays None.

    A class with its arguments, `{"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}` under
    `optimizer`, becomes `optimizer: SGD` and `optimizer.lr: 0.1`.
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = prefix + key
        if isinstance(value, dict) and "class_path" in value:
            found[name] = value["class_path"].rsplit(".", 1)[-1]
            found |= flat(value.get("init_args") or {}, f"{name}.")
        elif isinstance(value, dict):
            found |= flat(value, f"{name}.")
        elif not key.startswith("_"):
            plain = value is None or isinstance(value, bool | int | float | str)
            found[name] = value if plain else str(value)
    return found


def differences(settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return value and default of each setting that is not its default, by name."""
    ours, usual = flat(settings), flat(defaults)
    return {
        name: (value, usual.get(name)) for name, value in ours.items() if value != usual.get(name)
    }
