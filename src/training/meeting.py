"""Several trainings in one process, which make their steps together: the seeds of one experiment.

Each training is a Trainer in a greenlet of its own, so that checkpoints, validation, curves and
results are those of any run. Where a run would make a stretch of steps, it waits here for the
others, and a stack of their networks makes the stretch of all.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO

from greenlet import getcurrent, greenlet

from src.training.joint_loop import JointLoop
from src.training.joint_stretch import Stretch
from src.training.stack import Stack

Training = Callable[[], None]


class Meeting:
    """Runs trainings in turn, each until it waits here, and makes the steps of those that wait."""

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.waiting: dict[greenlet, tuple[JointLoop, int]] = {}
        self.stack: Stack | None = None
        self.members: list[JointLoop] = []  # those of the stack

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
            loops = {run: self.waiting[run][0] for run in group}
            made = self._stretch([*loops.values()], steps)
            for run in [run for run, loop in loops.items() if made or loop.alone]:
                del self.waiting[run]
                ends[run] = self._go_on(run, made)
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
        new = self.members != loops
        if self.stack is None or new:
            self.members, self.stack = loops, Stack([loop.step for loop in loops])
        stretch = Stretch(self.stack, loops)
        self.stack.load()
        if new and (reason := stretch.obstacle()):
            for loop in loops:
                loop.alone = reason
            return 0
        samples = stretch.run(steps)
        self.stack.store()
        return samples
