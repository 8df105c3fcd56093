"""The run identity used to validate a resume: the settings and data that determine the numbers."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, StochasticWeightAveraging
from lightning.pytorch.utilities import rank_zero_warn

from src.errors import UserError
from src.runs.provenance import device_name, versions
from src.runs.settings import flat

Facts = dict[str, Any]
TRAINER = (  # trainer settings that change the numbers, besides precision and processes
    "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm",
    "limit_train_batches", "overfit_batches", "val_check_interval", "check_val_every_n_epoch",
)  # fmt: skip
LENGTH = ("trainer.max_epochs", "trainer.max_steps")
PLACES = ("data.root", "data.path")  # the same data may be in another place today


def run_identity(trainer: Trainer, model: LightningModule, data: Any) -> dict[str, Facts]:
    """Return what a checkpoint keeps: what determines the numbers, and what affects rounding."""
    return {"decides": decisive(trainer, model, data), "rounds": rounding(trainer)}


def validate(saved: dict[str, Facts], trainer: Trainer, model: LightningModule, data: Any) -> None:
    """Refuse to resume a run with other settings or data; warn where only rounding may differ.

    Raises:
        UserError: With the old and the new value of what has changed.
    """
    refuse(saved["decides"], decisive(trainer, model, data))
    warn(saved["rounds"], rounding(trainer))


def decisive(trainer: Trainer, model: LightningModule, data: Any) -> Facts:
    """Return the settings and the data that determine the numbers, by the names of their flags."""
    facts = {"model": type(model).__name__, **flat(dict(model.hparams), "model.")}
    facts |= {"data": type(data).__name__, **flat(dict(data.hparams), "data.")}
    facts |= {f"trainer.{name}": getattr(trainer, name, None) for name in TRAINER}
    facts |= {"trainer.precision": str(trainer.precision), "trainer.devices": trainer.world_size}
    facts |= _of_callbacks(trainer)
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # set at run time
    averaged = any(isinstance(one, StochasticWeightAveraging) for one in callbacks)
    if averaged or facts.get("model.scheduler") == "OneCycleLR":  # they depend on the length
        facts |= {name: getattr(trainer, name.partition(".")[2]) for name in LENGTH}
    facts["contents of the data"] = data.digest
    return {name: plain(value) for name, value in facts.items() if name not in PLACES}


def _of_callbacks(trainer: Trainer) -> Facts:
    """Return the settings of callbacks whose saved state would replace them, or be lost."""
    facts = {
        f"{type(one).__name__}.{name}": getattr(one, name)
        for one in trainer.early_stopping_callbacks
        for name in ("monitor", "mode", "patience", "min_delta")
    }
    for one in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(one, GradientAccumulationScheduler):  # it changes the trainer's number
            facts["trainer.accumulate_grad_batches"] = str(one.scheduling)
    saver = trainer.checkpoint_callback
    return facts | ({"checkpoint": saver.state_key} if saver else {})


def plain(value: Any) -> Any:
    """Return a value that a checkpoint may hold: the value of an enum, other objects as text."""
    value = getattr(value, "value", value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def rounding(trainer: Trainer) -> Facts:
    """Return what may change the last digits of the numbers only."""
    return {"device": device_name(trainer.strategy.root_device), **versions()}


def refuse(then: Facts, now: Facts) -> None:
    """Raise UserError with the old and the new value of what has changed, if anything has."""
    changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if changed:
        pairs = [f"{name} was {then.get(name)}, is {now.get(name)}" for name in changed[:3]]
        more = f"; and {len(changed) - 3} more" if len(changed) > 3 else ""
        fixed = " Schedule or averaging have a fixed length." if {*LENGTH} & {*changed} else ""
        raise UserError(
            f"The run cannot be resumed with other settings: {'; '.join(pairs)}{more}.{fixed}\n"
            "Undo the change, or start a new run without --resume and --ckpt_path."
        )


def warn(then: Facts, now: Facts) -> None:
    """Warn about a change that may affect the last digits."""
    changed = [f"{k}: {then[k]} -> {now.get(k)}" for k in then if then[k] != now.get(k)]
    if changed:
        rank_zero_warn(f"Resuming elsewhere, last digits may differ: {'; '.join(changed)}.")
