"""Checks for NaN and infinity, and the error message that says where in the run they appeared."""

from lightning.pytorch import LightningModule, Trainer

from src.errors import UserError


class NotFinite(UserError):
    """The loss or a weight of a training has become NaN or infinite."""


def check_weights(trainer: Trainer, model: LightningModule) -> None:
    """Raise NotFinite if a weight is NaN or infinite."""
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            what = f"The weight {name} is not finite, after a gradient that was not finite,"
            raise NotFinite(explain(what, "No checkpoint holds it.", trainer))


def explain(what: str, saved: str, trainer: Trainer, step: int | None = None) -> str:
    """Return an error message: what is not finite, where in the run, and what to do."""
    step = trainer.global_step if step is None else step
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    advice = "Lower --model.optimizer.lr, or look for NaN and very large values in the data."
    if trainer.precision == "16-true":
        advice = "16 bits end at 65,504 and 6e-8: give --trainer.precision bf16-true or 16-mixed."
    return f"{what} at step {step}, epoch {trainer.current_epoch}, lr {rate:g}.\n{saved} {advice}"
