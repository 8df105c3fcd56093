"""A fast training step: Lightning's, without the calls of hooks that are not overridden."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from src.training.internals import (
    DataFetcher,
    TrainingEpochLoop,
    begin_batch,
    end_batch,
    enter_hook,
    send_step_metrics,
)

# Hooks that the short step calls, on callbacks only.
CALLED = (
    "on_train_batch_start",
    "on_before_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
# Hooks that the short step does not call: a run that overrides one takes Lightning's own step.
OF_CALLBACKS = ("on_before_zero_grad", "on_after_backward")
OF_DATA = ("on_before_batch_transfer", "transfer_batch_to_device")
OF_MODELS = (
    *CALLED,
    *OF_CALLBACKS,
    *OF_DATA,
    "on_after_batch_transfer",
    "backward",
    "optimizer_step",
    "optimizer_zero_grad",
    "configure_gradient_clipping",
)


class EpochLoop(TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, with a fast path for plain steps.

    In each step Lightning checks callbacks, model and strategy some thirty times for overridden
    hooks, which takes longer than the step of a small model. Here overridden hooks are looked up
    once. Numbers, counters and the order of calls are the same, except for the count of
    `zero_grad`, which nothing reads. A run that needs more than a plain step uses Lightning's.

    The last step of a training is always validated.

    Args:
        trainer: The trainer.
        own_batches: Whether batches or the training step are not those of this project; the step
            is Lightning's then.
    """

    plain = own_batches = False

    def __init__(self, trainer: Trainer, own_batches: bool) -> None:
        limits = trainer.fit_loop.epoch_loop
        super().__init__(trainer, limits.min_steps, limits.max_steps)
        self.own_batches = own_batches

    def on_run_start(self, data_fetcher: DataFetcher) -> None:
        super().on_run_start(data_fetcher)
        self.plain = not self.own_batches and is_plain(self.trainer)
        groups = self.trainer.optimizers[0].param_groups if self.plain else []
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.listeners = {
            hook: [callback for callback in self.trainer.callbacks if is_overridden(hook, callback)]
            for hook in CALLED
        }

    def advance(self, data_fetcher: DataFetcher) -> None:
        """Train on one batch."""
        if self.restarting or not self.plain:
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False  # the next validation starts at its first batch
        progress = self.batch_progress
        batch = self._next_batch(data_fetcher)
        progress.increment_ready()
        index = self.batch_idx
        begin_batch(self.trainer, batch)
        self._call("on_train_batch_start", batch, index)
        progress.increment_started()
        loss = self._step(batch, index)
        progress.increment_processed()
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self._call("on_train_batch_end", {"loss": loss}, batch, index)
        end_batch(self.trainer)
        progress.increment_completed()
        send_step_metrics(self.trainer)

    def _should_accumulate(self) -> bool:  # asked five times a step, and False in a plain one
        return not self.plain and super()._should_accumulate()

    def _should_check_val_fx(self, data_fetcher: DataFetcher) -> bool:
        """Validate when it is due, and after the last step."""
        due = super()._should_check_val_fx(data_fetcher)
        return due or (self.trainer.enable_validation and self._training_ends())

    def _training_ends(self) -> bool:
        trainer = self.trainer
        last_epoch = trainer.current_epoch + 1 == trainer.max_epochs
        stops = trainer.should_stop and trainer.fit_loop._can_stop_early
        steps_done = self.global_step >= self.max_steps != -1
        # Not `is_last_batch`, which is also true before the last step of a resumed run.
        last_batch = self.batch_progress.current.ready == trainer.num_training_batches
        return stops or steps_done or (last_epoch and last_batch)

    def _next_batch(self, data_fetcher: DataFetcher) -> tuple[Tensor, ...]:
        batch, _, _ = next(data_fetcher)
        self.batch_progress.is_last_batch = data_fetcher.done
        device = self.trainer.strategy.root_device
        moved = tuple(part.to(device, non_blocking=device.type == "cuda") for part in batch)
        return self.trainer.datamodule.on_after_batch_transfer(moved, 0)

    def _step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        """Update the weights and return the loss."""
        model, optimizer = self.trainer.lightning_module, self.trainer.optimizers[0]
        progress = self.automatic_optimization.optim_progress.optimizer.step
        loss: Any = None  # the last one, where an optimizer calls the closure several times

        def closure() -> Any:
            nonlocal loss
            enter_hook(model, "training_step")
            loss = model.training_step(batch, index)
            for parameter in self.parameters:
                parameter.grad = None
            self._call("on_before_backward", loss)
            loss.backward()
            self._call("on_before_optimizer_step", optimizer)
            return loss

        progress.increment_ready()
        optimizer.step(closure)
        progress.increment_completed()
        return loss.detach()

    def _call(self, hook: str, *args: Any) -> None:
        trainer, model = self.trainer, self.trainer.lightning_module
        enter_hook(model, hook)
        for callback in self.listeners[hook]:
            getattr(callback, hook)(trainer, model, *args)
        enter_hook(model, None)


def is_plain(trainer: Trainer) -> bool:
    """Return whether a step is one batch, loss, gradient and update, on one device in 32 bits.

    The caller makes sure that a batch is `(x, y)` and that `training_step` returns the loss.
    """
    model, data = trainer.lightning_module, trainer.datamodule
    return (
        type(trainer.strategy) is SingleDeviceStrategy
        and type(trainer.precision_plugin) is Precision
        and type(trainer.profiler) is PassThroughProfiler
        and model.automatic_optimization
        and len(trainer.optimizers) == 1
        and type(trainer.optimizers[0]).__module__.startswith("torch.optim")
        and trainer.accumulate_grad_batches == 1
        and not trainer.gradient_clip_val
        and data is not None
        and not any(is_overridden(hook, data) for hook in OF_DATA)
        and not any(is_overridden(hook, model) for hook in OF_MODELS)
        and not any(is_overridden(hook, c) for c in trainer.callbacks for hook in OF_CALLBACKS)
        # It runs an epoch without backward passes.
        and not any(isinstance(c, StochasticWeightAveraging) for c in trainer.callbacks)
    )
