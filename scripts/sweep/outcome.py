"""What a sweep has found: the best trial, and how many were stopped and failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from scripts.sweep.attempts import REASON, counted, is_done


@dataclass
class Outcome:
    """What a sweep has found.

    Attributes:
        trials: The last attempt of each trial that counts.
        complete: Those that were trained to the end, the best first.
        pruned: Those that were stopped early, or have diverged.
        failed: Those that failed for a reason of their own.
        left: How many are not finished yet.
    """

    trials: list[FrozenTrial]
    complete: list[FrozenTrial]
    pruned: list[FrozenTrial]
    failed: list[FrozenTrial]
    left: int

    @property
    def best(self) -> FrozenTrial | None:
        return self.complete[0] if self.complete else None


def outcome(study: Study, trials: Sequence[FrozenTrial], total: int) -> Outcome:
    """Return what a sweep has found so far.

    Args:
        study: The study.
        trials: All attempts.
        total: The number of trials that are wanted.
    """
    wanted = counted(trials, total)
    states = {s: [one for one in wanted if one.state == s] for s in TrialState}
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    complete = sorted(states[TrialState.COMPLETE], key=lambda one: sign * (one.value or 0))
    left = total - sum(map(is_done, wanted))
    return Outcome(wanted, complete, states[TrialState.PRUNED], states[TrialState.FAIL], left)


def seconds(trial: FrozenTrial) -> float:
    """Return how long a trial has taken, start and end included."""
    return trial.duration.total_seconds() if trial.duration else 0.0


def epochs(trial: FrozenTrial) -> int:
    return trial.last_step or 0


def saved(pruned: Sequence[FrozenTrial], planned: int) -> float:
    """Return the seconds that the pruned trials would have taken for the rest of their epochs.

    Args:
        pruned: The trials.
        planned: The number of epochs of a trial.
    """
    rates = {one.number: seconds(one) / epochs(one) for one in pruned if epochs(one)}
    stopped = [one for one in pruned if one.number in rates and REASON not in one.user_attrs]
    return sum(rates[one.number] * max(planned - epochs(one), 0) for one in stopped)
