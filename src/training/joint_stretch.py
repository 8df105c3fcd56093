"""A stretch of steps of several trainings, made by a stack of their networks."""

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from src.training.joint_loop import JointLoop
from src.training.stack import Stack
from src.training.step_log import log_step

SECONDS = 1.0  # of a stretch, at most


class Stretch:
    """A stretch of steps of several runs.

    Args:
        stack: The stack of their networks.
        loops: Their loops, which are at the same step.
    """

    def __init__(self, stack: Stack, loops: Sequence[JointLoop]) -> None:
        self.stack, self.loops, self.leader = stack, loops, loops[0]
        self.every = self.leader.trainer.log_every_n_steps
        self.alike = self.leader.step.data.alike_batches
        self.made = self.samples = 0  # steps that are not counted yet; samples of each run
        self.sums = torch.zeros(2, len(loops))  # of losses and scores
        self.numbers = False  # whether targets are numbers

    def obstacle(self) -> str | None:
        """Return why the networks cannot be stacked, found by trying; None if they can."""
        x, y, batch = next(self._batches(1))
        try:
            self.stack.losses(x, y, [loop.seeds(loop.trainer, batch) for loop in self.loops])
        except RuntimeError as error:  # of vmap, e.g. where values decide what is computed
            return f"{error}".partition("\n")[0]
        return None

    def run(self, steps: int) -> int:
        """Make steps, until time is up or a run must be called; return the samples of each run."""
        for loop in self.loops:
            loop.others = max(loop.others, len(self.loops) - 1)
        end = time.monotonic() + SECONDS
        for x, y, batch in self._batches(steps):
            if not self._step(x, y, batch):
                break
            if time.monotonic() > end or any(loop.listeners.interrupt() for loop in self.loops):
                break
        self._count()
        for loop, (loss, score) in zip(self.loops, self.sums.unbind(1), strict=True):
            loop.step.model.add_sums("train", loss, score, self.samples, self.numbers)
        return self.samples

    def _batches(self, steps: int) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Yield a batch for each run, `(S, B, ...)` and its targets, and its number."""
        size, first = self.leader.loader.batch_size, self.leader.batch_progress.current.ready
        block = max(1, self.leader.step.batches_in_block() // len(self.loops))
        for number in range(first, first + steps, block):
            count = min(block, first + steps - number)
            parts = [
                loop.step.prepared(loop.loader.take(loop.order, number, count), block > 1)
                for loop in self.loops
            ]
            x, y = (torch.stack(part).split(size, dim=1) for part in zip(*parts, strict=True))
            yield from zip(x, y, range(number, number + count), strict=True)

    def _step(self, x: Tensor, y: Tensor, batch: int) -> bool:
        """Make a step; return whether it was made: not if a loss is not finite."""
        seeds = [loop.seeds(loop.trainer, batch) for loop in self.loops]
        losses, scores = self.stack.losses(x, y, seeds)
        finite = losses.isfinite().tolist()
        if not all(finite):
            for loop, fine in zip(self.loops, finite, strict=True):
                loop.alone = loop.alone if fine else "its loss was not finite"
            return False
        logged = bool(self.every) and (self.leader.global_step + self.made + 1) % self.every == 0
        if logged:
            self._count()
        self.stack.backward(losses)
        if logged:
            self._call_with_gradients()
        self.stack.update()
        self._add(losses.detach(), scores, y)
        if logged or not self.alike:
            self._count()
        if logged:
            for loop, loss in zip(self.loops, losses.detach().unbind(), strict=True):
                log_step(loop.trainer, loss)
        for schedule in self.leader.schedules:
            schedule.scheduler.step()
        return True

    def _add(self, losses: Tensor, scores: Tensor, y: Tensor) -> None:
        """Note a step that has been made."""
        self.made, self.samples = self.made + 1, self.samples + y.shape[1]
        self.numbers = y.is_floating_point()
        sums = torch.stack([losses * y.shape[1], scores])
        self.sums = self.sums.to(sums.device) + sums

    def _call_with_gradients(self) -> None:
        self.stack.give_gradients()
        for loop in self.loops:
            loop._call_parts("on_before_optimizer_step", loop.step.optimizer)

    def _count(self) -> None:
        """Count the steps made, in all runs."""
        for loop in self.loops:
            loop.count(self.made, self.leader)
        self.made = 0
