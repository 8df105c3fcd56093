"""Which callbacks listen to which batches; steps that none listens to are made in a stretch."""

from collections.abc import Sequence
from math import inf
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import DeviceStatsMonitor, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.utilities.model_helpers import is_overridden

from src.training.internals import saving_interval

# Hooks of a training step, in the order of their calls.
BATCH_HOOKS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
AT_LOGS = (LearningRateMonitor, DeviceStatsMonitor)  # they act at the steps that are logged
Called = dict[str, list[Any]]  # callbacks by hook


class PartOfStep(Callback):
    """A callback that takes part in every step, also within a stretch.

    There, it gets no batch, and `on_train_batch_end` is not called. When a captured step is
    replayed, `on_before_backward` is not called, and `on_before_optimizer_step` only if values of
    the step are logged.
    """


class ListensSometimes(Callback):
    """A callback whose hooks need not be called in every step."""

    def unheard_steps(self, trainer: Trainer) -> float:
        """Return how many of the coming steps can be made without calling the hooks."""
        return inf

    def interrupts(self) -> bool:
        """Return whether the hooks must be called in the next step, asked within a stretch."""
        return False

    def on_stretch_end(self, trainer: Trainer, samples: int) -> None:
        """Take note of a stretch that has trained on a number of samples."""


class Listeners:
    """The callbacks of a run that listen to batches.

    Args:
        callbacks: All callbacks of the run.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.all = overriding(callbacks)
        parts = overriding([one for one in callbacks if isinstance(one, PartOfStep)])
        self.in_stretch = {hook: [getattr(one, hook) for one in parts[hook]] for hook in parts}
        self.sometimes = [one for one in callbacks if isinstance(one, ListensSometimes)]
        self.others = {
            one for ones in self.all.values() for one in ones if not isinstance(one, PartOfStep)
        }

    def unheard_steps(self, trainer: Trainer) -> float:
        """Return how many of the coming steps no callback listens to."""
        return min((unheard_steps(one, trainer) for one in self.others), default=inf)

    def of_each_step(self) -> list[str]:
        """Return the names of the callbacks that listen to each step."""
        return sorted(type(one).__name__ for one in self.others if listens_to_each(one))

    def interrupt(self) -> bool:
        """Return whether a stretch must end now."""
        return any(one.interrupts() for one in self.sometimes)

    def end_stretch(self, trainer: Trainer, samples: int) -> None:
        """Tell the callbacks that a stretch has ended."""
        for one in self.sometimes:
            one.on_stretch_end(trainer, samples)


def overriding(callbacks: Sequence[Callback]) -> Called:
    """Return the callbacks that override each hook of a step."""
    return {hook: [one for one in callbacks if is_overridden(hook, one)] for hook in BATCH_HOOKS}


def unheard_steps(callback: Callback, trainer: Trainer) -> float:
    """Return how many of the coming steps a callback does not listen to."""
    if isinstance(callback, ListensSometimes):
        return callback.unheard_steps(trainer)
    if listens_to_each(callback):
        return 0
    every = trainer.log_every_n_steps or inf
    if isinstance(callback, ModelCheckpoint):
        every = saving_interval(callback)
    return inf if every == inf else every - 1 - trainer.global_step % every


def listens_to_each(callback: Callback) -> bool:
    """Return whether a callback listens to each batch, or may do so."""
    if isinstance(callback, ModelCheckpoint):
        own = any(is_overridden(hook, callback, ModelCheckpoint) for hook in BATCH_HOOKS)
        return own or not saving_interval(callback)
    return not isinstance(callback, ListensSometimes) and type(callback) not in AT_LOGS
