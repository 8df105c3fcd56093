"""A worker of a sweep: takes trials, and runs each in a process of its own."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from scripts.many.groups import Group
from scripts.many.training import reason
from scripts.many.warm import Stopping, Task
from scripts.sweep.attempts import REASON, counted, first_number, is_done, next_trial, repeat
from scripts.sweep.presence import ALIVE, BEAT, WORKER, Presence, Watch, running_of
from scripts.sweep.space import Space, suggested, words
from scripts.sweep.trial import Diverged, Ended, Report, train

CRASHES = "crashes"  # attribute: how often the process of a trial was killed while its worker lived
RETRIES = 2  # how often such a trial is repeated
PATIENCE = 30.0  # seconds for trials to save a checkpoint when the worker stops
RUN = "run"  # attribute: the host and the run folder of a trial
GONE = (UpdateFinishedTrialError, ValueError)  # another worker took this one for dead
START = Callable[[Task], BaseProcess]


@dataclass
class Running:
    """A trial under way.

    Attributes:
        trial: The trial, for Optuna.
        number: The number of its first attempt.
        process: Its process.
        connection: The pipe to it.
        reported: The numbers of epochs after which it has reported, also before it was killed.
        pruned: Whether it was told to stop.
        diverged: Why it has stopped by itself.
        value: Its result.
    """

    trial: Trial
    number: int
    process: BaseProcess
    connection: Connection
    reported: set[int]
    pruned: bool = False
    diverged: str = ""
    value: float | None = None


class Worker:
    """Runs trials of a study until all that are wanted are finished, also by other workers.

    Args:
        study: The study.
        space: The settings that are tried.
        group: The folder of the runs.
        total: The number of trials, of all workers together.
        jobs: The number of trials at once.
        presence: Shows that this worker is alive.
        start: Starts a task in a process of its own.
        show: Called with all attempts when something has changed.
    """

    def __init__(
        self,
        study: Study,
        space: Space,
        group: Group,
        total: int,
        jobs: int,
        presence: Presence,
        start: START,
        show: Callable[[list[FrozenTrial]], None],
    ) -> None:
        self.study, self.space, self.group = study, space, group
        self.total, self.jobs, self.start, self.show = total, jobs, start, show
        self.running: list[Running] = []
        self.presence, self.watch, self.beat_due, self.stopping = presence, Watch(), 0.0, False

    def run(self) -> None:
        """Run trials until all are finished; on a signal, let others repeat those under way."""
        with Stopping() as stopping:
            try:
                self._fill()
                while not self._finished():
                    self._listen()
                    stopping.leave_if_asked()
                    self._fill()
                    self._beat()
            finally:
                self._stop()

    def _finished(self) -> bool:
        if self.running:
            return False
        trials = self.study.get_trials(deepcopy=False)
        self.show(trials)
        wanted = counted(trials, self.total)
        return len(wanted) == self.total and all(map(is_done, wanted))

    def _fill(self) -> None:
        while len(self.running) < self.jobs and (found := next_trial(self.study, self.total)):
            self.running.append(self._begun(*found))

    def _begun(self, trial: Trial, stored: FrozenTrial) -> Running:
        """Start the process of a trial, which resumes an attempt that was killed here."""
        number, run = first_number(stored), f"trial_{first_number(stored)}"
        params = suggested(self.space, trial)
        trial.set_user_attr(WORKER, self.presence.name)
        trial.set_user_attr(RUN, f"{self.presence.host}:{self.group.run_folder(run).absolute()}")
        ours, theirs = Pipe()
        fit_words = self.group.run_words(run, *words(params))
        process = self.start(Task(train, (fit_words, theirs), self.log(number)))
        theirs.close()
        return Running(trial, number, process, ours, {*stored.intermediate_values})

    def log(self, number: int) -> Path:
        """Return the file with what the process of a trial prints."""
        return self.group.log(f"trial_{number}")

    def _listen(self) -> None:
        """Wait for messages of trials, a second at most, and for their ends."""
        heard = wait([one.connection for one in self.running], timeout=1.0)
        for one in [one for one in self.running if one.connection in heard]:
            try:
                self._answer(one, one.connection.recv())
            except (EOFError, ConnectionError):
                self._end(one)
            except GONE:
                one.process.kill()

    def _answer(self, one: Running, message: Report | Diverged | Ended) -> None:
        """Note what a trial tells; after a report, say whether to stop."""
        if isinstance(message, Diverged):
            one.diverged = message.message
        elif isinstance(message, Ended):
            one.value = message.value
        else:
            try:
                self._report(one, message)
            finally:  # or it would wait for ever
                one.connection.send(one.pruned)

    def _report(self, one: Running, message: Report) -> None:
        """Store a report, and decide whether the trial is worth going on."""
        if message.epochs not in one.reported:
            one.reported.add(message.epochs)
            one.trial.report(message.value, message.epochs)
        one.pruned = one.pruned or (not message.last and one.trial.should_prune())

    def _end(self, one: Running) -> None:
        """Tell the study how a trial has ended."""
        one.process.join()
        one.connection.close()
        self.running.remove(one)
        with suppress(*GONE):
            self._tell(one, one.process.exitcode or 0)
        self.show(self.study.get_trials(deepcopy=False))

    def _tell(self, one: Running, code: int) -> None:
        if one.diverged:
            self._tell_why(one, TrialState.PRUNED, one.diverged)
        elif one.pruned:
            self.study.tell(one.trial, state=TrialState.PRUNED)
        elif code == 0 and one.value is not None:
            self.study.tell(one.trial, one.value)
        elif was_killed(code) and (self.stopping or self._crashes(one) <= RETRIES):
            repeat(self.study, one.trial.number)
        else:
            self._tell_why(one, TrialState.FAIL, reason(self.log(one.number))[0])

    def _tell_why(self, one: Running, state: TrialState, reason: str) -> None:
        one.trial.set_user_attr(REASON, reason)
        self.study.tell(one.trial, state=state)

    def _crashes(self, one: Running) -> int:
        """Count that the process of a trial was killed, and return how often it was."""
        crashes = one.trial.user_attrs.get(CRASHES, 0) + 1
        one.trial.set_user_attr(CRASHES, crashes)
        return crashes

    def _beat(self) -> None:
        """Every few seconds, show that this worker lives, and take over trials of dead ones."""
        if time.monotonic() < self.beat_due:
            return
        self.beat_due = time.monotonic() + BEAT
        for one in self.running:
            try:
                one.trial.set_user_attr(ALIVE, one.trial.user_attrs.get(ALIVE, 0) + 1)
            except GONE:
                one.process.kill()
        self._take_over()

    def _take_over(self) -> None:
        """Let the trials of dead workers be tried again."""
        trials = self.study.get_trials(deepcopy=False)
        for worker in self.presence.dead():
            self._repeat(running_of(trials, worker))
        self._repeat(self.watch.dead(trials, [one.trial.number for one in self.running]))

    def _repeat(self, numbers: list[int]) -> None:
        for number in numbers:
            with suppress(*GONE):
                repeat(self.study, number)

    def _stop(self) -> None:
        """Stop the trials under way, with a checkpoint, so that the next call resumes them."""
        self.stopping, latest = True, time.monotonic() + PATIENCE
        for one in self.running:
            one.process.terminate()
        try:
            while self.running and time.monotonic() < latest:  # they may still report
                self._listen()
        finally:
            for one in self.running:  # e.g. as the storage cannot be reached any more
                one.process.kill()


def was_killed(code: int) -> bool:
    """Return whether a signal ended a process, also one that it took for a request to stop."""
    return code < 0 or code > 128
