"""The loop of a training that makes its steps together with other trainings."""

from collections.abc import Callable, Iterator

from lightning.pytorch import Trainer

from src.training.epoch_loop import EpochLoop
from src.training.fixed_step import FixedStep
from src.training.seeds import StepSeeds
from src.training.stack import unstackable

Wait = Callable[["JointLoop", int], int]


class JointLoop(EpochLoop):
    """The loop of a training that makes its steps together with others.

    The first step of a run is made alone, which gives the optimizer its state, and so is a step
    whose loss is not finite, so that the run ends with the usual message. Callbacks that are part
    of each step are called at the steps that are logged, with gradients.

    Args:
        trainer: The trainer.
        own_batches: Whether batches or the training step are not those of this project.
        wait: Waits for the stretch of all; called with this loop and the number of steps that it
            can make, it returns the number of samples, 0 if the run must make its next step alone.
    """

    alone: str | None = None  # why the run does not join the others
    others = 0

    def __init__(self, trainer: Trainer, own_batches: bool, wait: Wait) -> None:
        super().__init__(trainer, own_batches)
        self.wait, self.seeds = wait, StepSeeds()

    def steps_made(self) -> str:
        if self.others and not self.alone:
            return f"together with {self.others} other seeds"
        return super().steps_made() + (f"; not together: {self.alone}" if self.alone else "")

    def _blocks(self, steps: int) -> Iterator[int]:
        self.alone = self.alone or unstackable(self.step) or self._odd_schedules()
        if self.alone:
            yield from super()._blocks(steps)
        elif self.global_step and (samples := self.wait(self, steps)):
            yield samples
        else:
            yield from super()._blocks(1)

    def _fixed_step(self) -> FixedStep | None:  # one network is captured, a stack is not
        return super()._fixed_step() if self.alone else None

    def _odd_schedules(self) -> str | None:
        several = len(self.schedules) > 1 or any(one.frequency != 1 for one in self.schedules)
        return "a scheduler that skips steps" if several else None

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
