"""Which trials of a study count, and the repetition of those whose process was killed.

A trial that is repeated gets a new number in Optuna, and settings and reports of the one before.
Here it keeps the number of its first attempt, which is also that of its run folder.
"""

import time
import warnings
from collections.abc import Sequence
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

REASON = "reason"  # attribute of a trial: why it failed and is not repeated
SURPLUS = "surplus"  # the reason of a trial that two workers began at once, where one was left
ALIVE = "alive"  # attribute that the worker of a running trial keeps changing
BEAT = 5.0  # seconds between two changes
SILENCE = 30.0  # seconds without a change, after which the worker is taken for dead

Trials = Sequence[FrozenTrial]


def first_number(trial: FrozenTrial) -> int:
    """Return the number of the first attempt of a trial."""
    first = trial.system_attrs.get("failed_trial")
    return trial.number if first is None else first


def counted(trials: Trials, total: int | None = None) -> list[FrozenTrial]:
    """Return the last attempt of each trial that counts, by the number of the first attempt.

    An attempt that failed without a reason was killed. It does not count until it is repeated:
    a worker that is killed before it could ask for that costs the settings, but no trial.

    Args:
        trials: All attempts.
        total: How many trials are wanted; further ones do not count.
    """
    last = {first_number(trial): trial for trial in sorted(trials, key=lambda one: one.number)}
    valid = [trial for _, trial in sorted(last.items()) if not is_void(trial)]
    return valid[:total]


def is_void(trial: FrozenTrial) -> bool:
    failed = trial.state == TrialState.FAIL
    return failed and trial.user_attrs.get(REASON) in (None, SURPLUS)


def is_done(trial: FrozenTrial) -> bool:
    return trial.state.is_finished()


def place(trials: Trials, trial: FrozenTrial) -> int:
    """Return how many trials that count began before a trial."""
    return sum(first_number(one) < first_number(trial) for one in counted(trials))


def next_trial(study: Study, total: int) -> tuple[Any, FrozenTrial] | None:
    """Return the next trial, for Optuna and as it is stored; None if none is left.

    One that waits to be repeated comes first. If several workers ask at once for the last one, all
    get a trial, and those with the higher numbers are dropped.

    Args:
        study: The study.
        total: How many trials are wanted in all.
    """
    trials = study.get_trials(deepcopy=False)
    waiting = any(trial.state == TrialState.WAITING for trial in trials)
    if not waiting and len(counted(trials)) >= total:
        return None
    trial = study.ask()
    trials = study.get_trials(deepcopy=False)
    stored = next(one for one in trials if one.number == trial.number)
    if place(trials, stored) < total:
        return trial, stored
    trial.set_user_attr(REASON, SURPLUS)
    study.tell(trial, state=TrialState.FAIL)
    return None


def repeat(study: Study, number: int) -> None:
    """Let the trial be tried again whose attempt of this number was killed.

    Raises:
        ValueError: If another worker has done so.
        UpdateFinishedTrialError: Likewise.
    """
    killed = study.tell(number, state=TrialState.FAIL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)(study, killed)


class Watch:
    """Notices running trials whose worker has died, since nothing about them changes any more.

    Optuna's heartbeat needs the clock of a database, is missing for a journal file, and overlooks
    a worker that dies before its first beat. This one compares no clocks.
    """

    def __init__(self) -> None:
        self.seen: dict[int, tuple[Any, float]] = {}  # last state of a trial, and since when

    def dead(self, trials: Trials, own: Sequence[int]) -> list[int]:
        """Return the numbers of trials that nobody works on.

        Args:
            trials: All attempts.
            own: The numbers of those that this worker works on.
        """
        now, found = time.monotonic(), []
        running = [one for one in trials if one.state == TrialState.RUNNING]
        for trial in [one for one in running if one.number not in own]:
            state = trial.user_attrs.get(ALIVE), len(trial.intermediate_values), len(trial.params)
            before, since = self.seen.get(trial.number, (None, now))
            if state != before:
                self.seen[trial.number] = state, now
            elif now - since > SILENCE:
                found.append(trial.number)
        return found
