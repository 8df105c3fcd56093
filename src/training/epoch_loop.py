"""A fast training step: Lightning's, without the calls of hooks that are not overridden."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from math import inf
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor

from src.training.fixed_step import FixedStep, captured, rates_on_device, uncaptured
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
from src.training.listeners import Listeners
from src.training.obstacle import obstacle
from src.training.plain_step import Call, PlainStep
from src.training.step_log import is_logged, log_step

SECONDS = 0.2  # of a stretch, at most: the progress bar moves, and curves are written


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
    obstacle: str | None = None
    fixed: FixedStep | None = None

    def __init__(self, trainer: Trainer, own_batches: bool) -> None:
        limits = trainer.fit_loop.epoch_loop
        super().__init__(trainer, limits.min_steps, limits.max_steps)
        self.own_batches = own_batches
        self.listeners = Listeners([])

    def on_run_start(self, data_fetcher: DataFetcher) -> None:
        super().on_run_start(data_fetcher)
        trainer = self.trainer
        own = "batches or a training step of your own" if self.own_batches else None
        self.obstacle = own or obstacle(trainer)
        self.plain = self.obstacle is None
        self.listeners = Listeners(trainer.callbacks)
        if self.plain:
            loader: Any = trainer.train_dataloader
            self.step, self.loader = PlainStep(trainer, loader), loader
            self.order = loader.order().to(loader.x.device)
            configs: list[Any] = trainer.lr_scheduler_configs
            self.schedules = [one for one in configs if one.interval == "step"]
            self.eager = uncaptured(trainer, loader)
            forget_step_values(trainer)

    def steps_made(self) -> str:
        """Return how steps are made, and why not faster, for the record of the run."""
        if self.obstacle:
            return f"one by one, by Lightning: {self.obstacle}"
        if names := self.listeners.of_each_step():
            return f"one by one: {', '.join(names)} listens to each batch"
        if self.fixed:
            return "captured on the GPU"
        on_gpu = self.trainer.strategy.root_device.type == "cuda"
        return f"in stretches{f', not captured: {self.eager}' if on_gpu else ''}"

    def advance(self, data_fetcher: DataFetcher) -> None:
        """Train on one batch, or on all up to the next one that a callback listens to."""
        resumes = self.restarting and self._should_check_val_fx(data_fetcher)
        if resumes or not self.plain:
            super().advance(data_fetcher)
            if self.plain:
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
        before, samples, end = self.batch_progress.current.ready, 0, time.monotonic() + SECONDS
        fixed = self._fixed_step()
        for made in self._replays(fixed, steps) if fixed else self._blocks(steps):
            samples += made
            if time.monotonic() > end or self.listeners.interrupt():
                break
        if fixed:
            fixed.check()
        count_batches(self, data_fetcher, self.batch_progress.current.ready - before)
        self.listeners.end_stretch(self.trainer, samples)
        for logger in self.trainer.loggers:
            logger.save()
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)

    def _blocks(self, steps: int) -> Iterator[int]:
        """Make steps on batches that are prepared several at once; yield the samples of a block."""
        progress, size = self.batch_progress.current, self.loader.batch_size
        block, last = self.step.batches_in_block() if self.eager else 1, progress.ready + steps
        while progress.ready < last:
            batches = self.loader.take(
                self.order, progress.ready, min(block, last - progress.ready)
            )
            x, y = self.step.prepared(batches, block > 1)
            for batch in zip(x.split(size), y.split(size), strict=True):
                self._unheard_step(partial(self._update, batch, self._call_parts))
            yield len(y)
            if self.eager is None:
                return  # the optimizer has its state now: the other steps can be captured

    def _replays(self, fixed: FixedStep, steps: int) -> Iterator[int]:
        """Make steps that a GPU has captured, and yield the samples of each."""

        def replay() -> Tensor:
            loss = fixed()
            if is_logged(self.trainer):  # gradients are still there
                self._call_parts("on_before_optimizer_step", self.trainer.optimizers[0])
            return loss

        batch = self.batch_progress.current.ready
        fixed.start(self.order, batch)
        for _ in range(min(steps, len(self.order) // self.loader.batch_size - batch)):
            self._unheard_step(replay)
            yield self.loader.batch_size

    def _fixed_step(self) -> FixedStep | None:
        """Return the captured step, unless the next batch is smaller or nothing can be captured."""
        whole = len(self.order) // self.loader.batch_size > self.batch_progress.current.ready
        if self.eager or not (whole and self.global_step):
            return None
        if self.fixed is None or not self.fixed.fits(self.loader):
            try:
                self.fixed = FixedStep(self.step, captured)
            except RuntimeError as error:
                self.fixed, self.eager = None, f"{error}".partition("\n")[0]
        return self.fixed

    def _unheard_step(self, update: Callable[[], Tensor]) -> None:
        progress, index = self.batch_progress, self.batch_progress.current.ready
        progress.increment_ready()
        self._call_parts("on_train_batch_start", None, index)
        progress.increment_started()
        self._counted(update)
        progress.increment_processed()
        for schedule in self.schedules:
            if (index + 1) % schedule.frequency == 0:
                self.scheduler_progress.increment_ready()
                schedule.scheduler.step()
                self.scheduler_progress.increment_completed()
        progress.increment_completed()

    def _heard_step(self, data_fetcher: DataFetcher) -> None:
        """Make a step and call all hooks of callbacks."""
        progress, index = self.batch_progress, self.batch_progress.current.ready
        batch = self.step.prepared(self.loader.take(self.order, index))
        progress.increment_ready()
        count_batches(self, data_fetcher, 1)
        begin_batch(self.trainer, batch)
        self._call("on_train_batch_start", batch, index)
        progress.increment_started()
        loss = self._counted(partial(self._update, batch, self._call))
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
        if trainer.should_stop:
            return 1  # Lightning asks after each step whether min_steps is reached
        by_epoch = trainer.check_val_every_n_epoch is not None
        done = ready if by_epoch else self.batch_progress.total.ready
        every = trainer.val_check_batch or 1  # None: the clock says when to validate
        to_limit = self.max_steps - self.global_step if self.max_steps != -1 else inf
        return min(to_limit, every - done % every, trainer.num_training_batches - ready)

    def _counted(self, update: Callable[[], Tensor]) -> Tensor:
        """Update the weights, count and log the step, and return its loss."""
        progress = self.automatic_optimization.optim_progress.optimizer.step
        logged = is_logged(self.trainer)
        progress.increment_ready()
        loss = update()
        progress.increment_completed()
        if logged:
            log_step(self.trainer, loss)
        return loss

    def _update(self, batch: tuple[Tensor, ...], call: Call) -> Tensor:
        """Update the weights as a captured step does, if the other steps are captured."""
        if self.eager:
            return self.step.update(batch, call)
        with rates_on_device(self.step.optimizer):
            return self.step.update(batch, call)

    def _call(self, hook: str, *args: Any) -> None:
        """Call a hook of all callbacks, which may log values in it."""
        trainer, model = self.trainer, self.trainer.lightning_module
        enter_hook(model, hook)
        for callback in self.listeners.all[hook]:
            getattr(callback, hook)(trainer, model, *args)
        enter_hook(model, None)

    def _call_parts(self, hook: str, *args: Any) -> None:
        """Call a hook of the callbacks that are part of each step."""
        for called in self.listeners.in_stretch[hook]:
            called(self.trainer, self.step.model, *args)
