"""Which runs need no more than a plain step: one batch, loss, gradient and update, in 32 bits."""

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden

from src.training.listeners import BATCH_HOOKS

# Hooks that the short step does not call: a run that overrides one takes Lightning's own step.
OF_CALLBACKS = ("on_before_zero_grad", "on_after_backward")
OF_DATA = ("on_before_batch_transfer", "transfer_batch_to_device")
OF_MODELS = (
    *BATCH_HOOKS,
    *OF_CALLBACKS,
    *OF_DATA,
    "on_after_batch_transfer",
    "backward",
    "optimizer_step",
    "optimizer_zero_grad",
    "configure_gradient_clipping",
    "lr_scheduler_step",
)


def obstacle(trainer: Trainer) -> str | None:
    """Return why a run needs Lightning's own step; None if one batch a step, in 32 bits, is all.

    The caller makes sure that a batch is `(x, y)` and that `training_step` returns the loss.
    """
    model, data, callbacks = trainer.lightning_module, trainer.datamodule, trainer.callbacks
    optimizers = [type(one).__module__.partition(".optim")[0] for one in trainer.optimizers]
    obstacles = {
        type(trainer.strategy).__name__: type(trainer.strategy) is not SingleDeviceStrategy,
        f"precision {trainer.precision}": type(trainer.precision_plugin) is not Precision,
        "a profiler": type(trainer.profiler) is not PassThroughProfiler,
        "an optimizer that is not torch's": optimizers != ["torch"],
        "manual optimization": not model.automatic_optimization,
        "accumulated gradients": trainer.accumulate_grad_batches != 1,
        "clipped gradients": bool(trainer.gradient_clip_val),
        "ReduceLROnPlateau by step": any(
            one.reduce_on_plateau and one.interval == "step" for one in trainer.lr_scheduler_configs
        ),
        "data without a data module": data is None,
        # It runs an epoch without backward passes.
        "StochasticWeightAveraging": any(
            isinstance(one, StochasticWeightAveraging) for one in callbacks
        ),
    }
    if found := next((what for what, there in obstacles.items() if there), None):
        return found
    owners = [(model, OF_MODELS), (data, OF_DATA), *((one, OF_CALLBACKS) for one in callbacks)]
    overridden = (
        f"{type(owner).__name__}.{hook}"
        for owner, hooks in owners
        for hook in hooks
        if is_overridden(hook, owner)
    )
    return next(overridden, None)
