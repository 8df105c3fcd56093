"""Trains several seeds in one process, which makes their steps together."""

import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden

from scripts.many.warm import STARTED
from src.arguments import completed
from src.command.experiment import ExperimentCLI, run_in_turn
from src.command.run_selection import Command
from src.command.signals import SignalHandlers
from src.data.shared import share
from src.models import Model
from src.training.joint_loop import JointLoop
from src.training.meeting import Meeting
from src.training.stop_request import StopRequest


class JointCLI(ExperimentCLI):
    """Trains like `fit`, in steps together with other runs.

    Args:
        meeting: Where the runs meet.
    """

    def __init__(self, meeting: Meeting, *args: Any) -> None:
        self.meeting = meeting
        super().__init__(*args)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer = super().instantiate_trainer(**kwargs)
        own = trainer.fit_loop.epoch_loop.own_batches
        loop = JointLoop(trainer, own, self.meeting.wait)
        loop.alone = own_measures(self.model)
        trainer.fit_loop.epoch_loop = loop
        return trainer


def own_measures(model: Model) -> str | None:
    """Return the method by which a model measures in its own way, which a stack does not call."""
    names = ("measured", "score", "add_sums")
    own = [name for name in names if is_overridden(name, model, Model)]
    return f"a {own[0]} of your own" if own else None


class StopAll:
    """A request to stop that is passed on to several runs.

    Args:
        requests: The requests of the runs.
    """

    def __init__(self, requests: Sequence[StopRequest]) -> None:
        self.requests = requests

    @property
    def training(self) -> bool:
        return any(request.training for request in self.requests)

    @property
    def signal(self) -> int:
        return max(request.signal for request in self.requests)

    @signal.setter
    def signal(self, number: int) -> None:
        for request in self.requests:
            request.signal = number


def train_together(commands: Sequence[Sequence[str]], logs: Sequence[Path]) -> None:
    """Run several `fit` commands, whose steps are made together.

    Args:
        commands: Their words after `fit`.
        logs: The files that get what they print.

    Raises:
        SystemExit: With the exit code of a run that failed, after all have ended.
    """
    share()
    meeting, requests = Meeting(), [StopRequest() for _ in commands]
    trainings = [
        partial(
            run_in_turn, Command("fit", completed([*words])), partial(JointCLI, meeting), request
        )
        for words, request in zip(commands, requests, strict=True)
    ]
    stop: Any = StopAll(requests)
    with SignalHandlers(stop), ExitStack() as stack:
        files = [stack.enter_context(log.open("a", encoding="utf-8")) for log in logs]
        for file in files[1:]:  # the first is that of the process
            file.write(STARTED)
        ends = meeting.run(trainings, files)
        for end, file in zip(ends, files, strict=True):
            if end is not None and not isinstance(end, SystemExit):
                traceback.print_exception(end, file=file)
    if failed := [end for end in ends if end is not None]:
        raise failed[0] if isinstance(failed[0], SystemExit) else SystemExit(1)
