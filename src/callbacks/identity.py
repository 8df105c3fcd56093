"""What a run is, so that it is not gone on with as another."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from src.callbacks.hparams import flat
from src.errors import UserError
from src.provenance import device_name, versions

Facts = dict[str, Any]
TRAINER = (  # the settings of the trainer, beside precision and processes, that change the numbers
    "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm",
    "limit_train_batches", "overfit_batches", "val_check_interval", "check_val_every_n_epoch",
)  # fmt: skip
PLACES = ("data.root", "data.path")  # where the same data may lie today


class Identity(Callback):
    """Keeps in each checkpoint what decides the numbers, and refuses to go on if it has changed.

    Args:
        saved: What the checkpoint to go on from says; None in a new run.
    """

    def __init__(self, saved: dict[str, Facts] | None = None) -> None:
        self.saved = saved

    def compare(self, trainer: Trainer, model: LightningModule, data: Any) -> None:
        """Refuse another run than the saved one, and warn where it may be rounded otherwise.

        Raises:
            UserError: With both values of what has changed.
        """
        if self.saved:
            refuse(self.saved["decides"], decisive(trainer, model, data))
            warn(self.saved["rounds"], rounding(trainer))

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["identity"] = {
            "decides": decisive(trainer, pl_module, trainer.datamodule), "rounds": rounding(trainer)
        }  # fmt: skip


def decisive(trainer: Trainer, model: LightningModule, data: Any) -> Facts:
    """Return, under the names of their flags, the settings and the data that decide the numbers."""
    facts = {"model": type(model).__name__, **flat(dict(model.hparams), "model.")}
    facts |= {"data": type(data).__name__, **flat(dict(data.hparams), "data.")}
    facts |= {f"trainer.{name}": getattr(trainer, name, None) for name in TRAINER}
    facts |= {"trainer.precision": str(trainer.precision), "trainer.devices": trainer.world_size}
    if facts.get("model.scheduler") == "OneCycleLR":  # which is laid out for so many steps
        facts |= {"trainer.max_epochs": trainer.max_epochs, "trainer.max_steps": trainer.max_steps}
    facts["contents of the data"] = data.digest
    return {name: plain(value) for name, value in facts.items() if name not in PLACES}


def plain(value: Any) -> Any:
    """Return a value that a checkpoint may hold: an enum's own, and others as text."""
    value = getattr(value, "value", value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def rounding(trainer: Trainer) -> Facts:
    """Return what may change the last digits of the numbers, and no more."""
    return {"device": device_name(trainer.strategy.root_device), **versions()}


def refuse(then: Facts, now: Facts) -> None:
    """Raise UserError with both values of what has changed, if anything has."""
    changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if changed:
        said = "; ".join(f"{name} was {then.get(name)}, is {now.get(name)}" for name in changed[:3])
        more = f"; and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise UserError(
            f"The run to go on with is another one: {said}{more}.\n"
            "Take back the change, or start a new run without --resume and --ckpt_path."
        )


def warn(then: Facts, now: Facts) -> None:
    """Warn of what may change the last digits."""
    changed = [f"{k}: {then[k]} -> {now.get(k)}" for k in then if then[k] != now.get(k)]
    if changed:
        rank_zero_warn(f"Resuming elsewhere, digits may differ: {'; '.join(changed)}.")
