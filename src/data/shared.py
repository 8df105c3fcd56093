"""Data that is read once for many runs, in one process or in processes that are forked from it."""

from typing import Any

from lightning.pytorch import LightningDataModule

OF_TRAINING = ("batch_size", "seed", "augment")  # settings that do not change what is read
_read: dict[str, dict[str, Any]] = {}  # attributes set by reading, by class and settings
_shares = False


def share() -> None:
    """Keep what data modules read from now on, for later ones of equal settings."""
    global _shares
    _shares = True


def key(data: LightningDataModule) -> str:
    """Return the class and the settings that decide what a data module reads."""
    settings = {k: v for k, v in data.hparams.items() if k not in OF_TRAINING}
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
        now = vars(data).items()
        _read[key(data)] = {k: v for k, v in now if k not in before or before[k] is not v}
