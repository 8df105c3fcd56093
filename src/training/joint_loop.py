"""Several trainings in one process that make their steps together: the seeds of one experiment.

Each training is a Trainer in a greenlet of its own, so that checkpoints, validation, curves and
results are those of any run. Where a run would make a stretch of steps, it waits for the others,
and a stack of their networks makes the stretch of all.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO

import torch
from greenlet import getcurrent, greenlet
from lightning.pytorch import Trainer
from torch import Tensor

from src.training.epoch_loop import EpochLoop
from src.training.seeds import StepSeeds
from src.training.stack import Stack, unstackable
from src.training.step_log import log_step

SECONDS = 1.0  # of a stretch, at most
Training = Callable[[], None]


class JointLoop(EpochLoop):
    """The loop of a training that makes its steps together with others.

    The first step of a run is made alone, which gives the optimizer its state, and so is a step
    whose loss is not finite, so that the run ends with the usual message. Callbacks that are part
    of each step are called at the steps that are logged, with gradients.

    Args:
        trainer: The trainer.
        own_batches: Whether batches or the training step are not those of this project.
        meeting: Where the runs meet.
    """

    alone: str | None = None  # why the run does not join the others
    others = 0

    def __init__(self, trainer: Trainer, own_batches: bool, meeting: "Meeting") -> None:
        super().__init__(trainer, own_batches)
        self.meeting, self.seeds = meeting, StepSeeds()

    def steps_made(self) -> str:
        if self.others and not self.alone:
            return f"together with {self.others} other seeds"
        return super().steps_made() + (f"; not together: {self.alone}" if self.alone else "")

    def _blocks(self, steps: int) -> Iterator[int]:
        self.alone = self.alone or unstackable(self.step)
        if self.alone or not self.global_step:
            yield from super()._blocks(steps if self.alone else 1)
        else:
            yield self.meeting.wait(self, steps)

    @property
    def position(self) -> tuple[int, int]:
        """The number of steps made, and the next batch of the epoch."""
        return self.global_step, self.batch_progress.current.ready

    def count(self, steps: int, leader: "JointLoop") -> None:
        """Count steps that have been made, and take over the schedules of the leading run."""
        for counter in (self.batch_progress.total, self.batch_progress.current):
            for name in ("ready", "started", "processed", "completed"):
                setattr(counter, name, getattr(counter, name) + steps)
        updates = self.automatic_optimization.optim_progress.optimizer.step
        schedules = [self.scheduler_progress] * bool(self.schedules)
        for progress in (updates, *schedules):
            for one in (progress.total, progress.current):
                one.ready, one.completed = one.ready + steps, one.completed + steps
        if self is not leader:
            for own, theirs in zip(self.schedules, leader.schedules, strict=True):
                own.scheduler.load_state_dict(theirs.scheduler.state_dict())
            settings = leader.step.optimizer.param_groups[0]
            group = self.step.optimizer.param_groups[0]
            group.update({key: value for key, value in settings.items() if key != "params"})


class Meeting:
    """Runs trainings in turn, each until it waits here, and makes the steps of those that wait."""

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.waiting: dict[greenlet, tuple[JointLoop, int]] = {}
        self.stack: Stack | None = None
        self.members: list[JointLoop] = []

    def run(
        self, trainings: Sequence[Training], logs: Sequence[TextIO] = ()
    ) -> list[BaseException | None]:
        """Run the trainings to their ends; return what has ended each, None for success.

        Args:
            trainings: Functions that train.
            logs: What each prints goes there; by default to the usual streams.
        """
        runs = [greenlet(training) for training in trainings]
        self.logs = dict(zip(runs, logs, strict=False))
        ends = {run: self._go_on(run) for run in runs}
        while self.waiting:
            group, steps = self._next_group()
            made = self._stretch([self.waiting.pop(run)[0] for run in group], steps)
            ends |= {run: self._go_on(run, made) for run in group}
        return [ends[run] for run in runs]

    def wait(self, loop: JointLoop, steps: int) -> int:
        """Let a run wait for the stretch of all; return the number of its samples.

        Args:
            loop: Its loop.
            steps: The number of steps that it can make.
        """
        made: int = self.hub.switch((loop, steps))
        return made

    def _go_on(self, run: greenlet, *made: int) -> BaseException | None:
        """Let a run go on until it waits again or ends; return the error that ended it."""
        try:
            output, errors = self.logs.get(run, sys.stdout), self.logs.get(run, sys.stderr)
            with redirect_stdout(output), redirect_stderr(errors):
                request = run.switch(*made)
        except (Exception, SystemExit) as error:
            return error
        if not run.dead:
            self.waiting[run] = request
        return None

    def _next_group(self) -> tuple[list[greenlet], int]:
        """Return the runs that are furthest behind, and the steps until they meet the next ones."""
        positions = {run: loop.position for run, (loop, _) in self.waiting.items()}
        first = min(positions.values())
        group = [run for run, position in positions.items() if position == first]
        ahead = [position[0] - first[0] for position in positions.values() if position > first]
        return group, min([self.waiting[run][1] for run in group] + [max(1, n) for n in ahead])

    def _stretch(self, loops: list[JointLoop], steps: int) -> int:
        """Make a stretch of steps for several runs; return the number of samples of each."""
        if self.stack is None or self.members != loops:
            self.members, self.stack = loops, Stack([loop.step for loop in loops])
        for loop in loops:
            loop.others = max(loop.others, len(loops) - 1)
        self.stack.load()
        samples = Stretch(self.stack, loops).run(steps)
        self.stack.store()
        return samples


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

    def run(self, steps: int) -> int:
        """Make steps, until time is up or a run must be called; return the samples of each run."""
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
