"""A fast training step: Lightning's, without the calls of hooks that are not overridden."""

import time
from collections.abc import Callable
from math import inf, prod
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
    count_batches,
    end_batch,
    enter_hook,
    forget_step_values,
    send_step_metrics,
)
from src.training.listeners import BATCH_HOOKS, Listeners
from src.training.step_log import is_logged, log_step

SECONDS = 0.2  # of a stretch, at most: the progress bar moves, and curves are written
BLOCK = 2**20  # values of batches that are prepared together, 4 MB
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


class EpochLoop(TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, with a fast path for plain steps.

    In each step Lightning checks callbacks, model and strategy some thirty times for overridden
    hooks, which takes longer than the step of a small model. Here overridden hooks are looked up
    once, and steps that no callback listens to are made in a stretch, without anything between
    them. Numbers, counters and the order of calls are the same, except for the count of
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
        configs = self.trainer.lr_scheduler_configs
        self.schedulers = [one.scheduler for one in configs if one.interval == "step"]
        self.listeners = Listeners(self.trainer.callbacks)

    def advance(self, data_fetcher: DataFetcher) -> None:
        """Train on one batch, or on all up to the next one that a callback listens to."""
        if self.restarting or not self.plain:
            super().advance(data_fetcher)
            forget_step_values(self.trainer)
            return
        self.val_loop.restarting = False  # the next validation starts at its first batch
        steps = min(self.listeners.unheard_steps(self.trainer), self._steps_to_pause())
        if steps >= 1:
            self._stretch(data_fetcher, int(steps))
        else:
            self._heard_step(data_fetcher)

    def _stretch(self, data_fetcher: DataFetcher, steps: int) -> None:
        """Make steps that no callback listens to; end early if one asks to be called."""
        loader: Any = self.trainer.train_dataloader
        block = self._batches_in_block()
        made = samples = 0
        end = time.monotonic() + SECONDS
        while made < steps:
            x, y = self._prepared(loader.take(min(block, steps - made)), together=block > 1)
            for batch in zip(x.split(loader.batch_size), y.split(loader.batch_size), strict=True):
                self._unheard_step(batch)
                made += 1
            samples += len(y)
            if time.monotonic() > end or self.listeners.interrupt():
                break
        count_batches(self, data_fetcher, made)
        self.listeners.end_stretch(self.trainer, samples)
        for logger in self.trainer.loggers:
            logger.save()
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)

    def _unheard_step(self, batch: tuple[Tensor, ...]) -> None:
        progress, index = self.batch_progress, self.batch_progress.current.ready
        progress.increment_ready()
        self._call_parts("on_train_batch_start", batch, index)
        progress.increment_started()
        self._step(batch, self._call_parts)
        progress.increment_processed()
        for scheduler in self.schedulers:
            self.scheduler_progress.increment_ready()
            scheduler.step()
            self.scheduler_progress.increment_completed()
        progress.increment_completed()

    def _heard_step(self, data_fetcher: DataFetcher) -> None:
        """Make a step and call all hooks of callbacks."""
        progress = self.batch_progress
        batch = self._next_batch(data_fetcher)
        progress.increment_ready()
        index = self.batch_idx
        begin_batch(self.trainer, batch)
        self._call("on_train_batch_start", batch, index)
        progress.increment_started()
        loss = self._step(batch, self._call)
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

    def _steps_to_pause(self) -> float:
        """Return the number of steps to the end of epoch or training, or to a validation."""
        trainer, ready = self.trainer, self.batch_progress.current.ready
        by_epoch = trainer.check_val_every_n_epoch is not None
        done = ready if by_epoch else self.batch_progress.total.ready
        every = trainer.val_check_batch or 1  # None: the clock says when to validate
        to_limit = self.max_steps - self.global_step if self.max_steps != -1 else inf
        return min(to_limit, every - done % every, trainer.num_training_batches - ready)

    def _batches_in_block(self) -> int:
        """Return how many batches are prepared together, which takes less time for each."""
        data = self.trainer.datamodule
        values = prod(data.input_shape) * data.batch_size
        return max(1, BLOCK // values) if data.alike_batches else 1

    def _next_batch(self, data_fetcher: DataFetcher) -> tuple[Tensor, ...]:
        batch, _, _ = next(data_fetcher)
        self.batch_progress.is_last_batch = data_fetcher.done
        return self._prepared(batch)

    def _prepared(self, batch: tuple[Tensor, ...], together: bool = False) -> tuple[Tensor, ...]:
        device, data = self.trainer.strategy.root_device, self.trainer.datamodule
        moved = tuple(part.to(device, non_blocking=device.type == "cuda") for part in batch)
        return data.prepared_together(moved) if together else data.on_after_batch_transfer(moved, 0)

    def _step(self, batch: tuple[Tensor, ...], call: Callable[..., None]) -> Tensor:
        """Update the weights and return the loss."""
        model: Any = self.trainer.lightning_module
        optimizer = self.trainer.optimizers[0]
        progress = self.automatic_optimization.optim_progress.optimizer.step
        loss: Any = None  # the last one, where an optimizer calls the closure several times

        def closure() -> Any:
            nonlocal loss
            loss, _ = model.measured(batch, "train")
            for parameter in self.parameters:
                parameter.grad = None
            call("on_before_backward", loss)
            loss.backward()
            call("on_before_optimizer_step", optimizer)
            return loss

        logged = is_logged(self.trainer)
        progress.increment_ready()
        optimizer.step(closure)
        progress.increment_completed()
        if logged:
            log_step(self.trainer, loss)
        return loss.detach()

    def _call(self, hook: str, *args: Any) -> None:
        """Call a hook of all callbacks, which may log values in it."""
        trainer, model = self.trainer, self.trainer.lightning_module
        enter_hook(model, hook)
        for callback in self.listeners.all[hook]:
            getattr(callback, hook)(trainer, model, *args)
        enter_hook(model, None)

    def _call_parts(self, hook: str, *args: Any) -> None:
        """Call a hook of the callbacks that are part of each step."""
        for callback in self.listeners.in_stretch[hook]:
            getattr(callback, hook)(self.trainer, self.trainer.lightning_module, *args)


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
