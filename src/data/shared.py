"""Data that is read once for many runs, in one process or in processes that are forked from it."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningDataModule

OF_TRAINING = ("batch_size", "seed", "augment")  # settings that do not change what is read
_read: dict[str, dict[str, Any]] = {}  # attributes set by reading, by class and settings
_files: dict[str, tuple[Any, dict[str, Any]]] = {}  # content, and attributes set by reading it
_shares = False


def share() -> None:
    """Keep what data modules read from now on, for later ones of equal settings."""
    global _shares
    _shares = True


def key(data: LightningDataModule, *but: str) -> str:
    """Return the class and the settings, but for some, that decide what a data module reads."""
    settings = {k: v for k, v in data.hparams.items() if k not in (*OF_TRAINING, *but)}
    return f"{type(data).__module__}.{type(data).__qualname__} {sorted(settings.items())}"


def recall(data: LightningDataModule) -> bool:
    """Give a data module what an equal one has read; return whether there is one."""
    vars(data).update(_read.get(key(data), {}))
    return key(data) in _read


def keep(data: Any, before: dict[str, Any]) -> None:
    """Keep the attributes that reading has changed, if data is shared.

    Args:
        data: The data module, which has read its data.
        before: Its attributes before.
    """
    if _shares:
        _ = data.digest  # kept as an attribute, too
        copies = {"_copies": data._copies}  # on a GPU: one for all
        _read[key(data)] = changed(data, before) | copies


def once(data: LightningDataModule, read: Callable[[], Any]) -> Any:
    """Return what a function reads; if data is shared, it is called once for all folds.

    Args:
        data: The data module, whose attributes the function may change.
        read: The function.
    """
    name, before = key(data, "fold"), dict(vars(data))
    if _shares and name in _files:
        content, attributes = _files[name]
        vars(data).update(attributes)
        return content
    content = read()
    if _shares:
        _files[name] = content, changed(data, before)
    return content


def changed(data: LightningDataModule, before: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a data module that are not as they were before."""
    now = vars(data).items()
    return {k: v for k, v in now if k not in before or before[k] is not v}
