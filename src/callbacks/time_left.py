"""How long a training will take from now on, by its speed so far."""

import time
from math import isfinite

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer


class TimeLeft:
    """Estimates the seconds until the end, from the time that the training has run here.

    Args:
        trainer: The trainer, when its training starts or goes on.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.began, self.before = time.perf_counter(), share_done(trainer)

    def seconds(self, trainer: Trainer) -> float | None:
        """Return the seconds; None without a limit, or before anything is done."""
        done, passed = share_done(trainer), time.perf_counter() - self.began
        limits = [passed * (1 - done) / (done - self.before)] if done > self.before else []
        timers = [one for one in trainer.callbacks if isinstance(one, Timer)]
        limits += [left for one in timers if (left := one.time_remaining()) is not None]
        return min(limits, default=None)


def share_done(trainer: Trainer) -> float:
    """Return how much of the training is done, from 0 to 1; 0 if it has no limit."""
    epochs, steps = trainer.max_epochs or -1, trainer.max_steps
    batches = trainer.num_training_batches
    ready = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    part = ready / batches if batches and isfinite(batches) else 0.0
    by_epochs = (trainer.current_epoch + min(part, 1.0)) / epochs if epochs > 0 else 0.0
    return min(1.0, max(by_epochs, trainer.global_step / steps if steps > 0 else 0.0))


def in_words(seconds: float) -> str:
    """Return a time as short text, e.g. `0:07`, `12:30` or `1:02:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
