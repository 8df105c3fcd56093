"""Whether each row is better than the reference row, or no difference is shown."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from scripts.compare.predictions import outcome
from scripts.compare.reference import reference
from scripts.compare.rows import Group, values
from scripts.compare.runs import Run
from scripts.compare.significance import Difference, paired_accuracy, paired_errors, welch
from src.errors import UserError

SEEDS = 3  # on each side; the interval of fewer is too wide to be of use
RISK = 0.05  # that one or more of the intervals are wrong


class Plan(NamedTuple):
    """How two rows are compared.

    Attributes:
        test: Returns the difference, given the level of its interval; None if there is no test.
        basis: What it rests on, with a place for the p-value `p`; or why there is none.
    """

    test: Callable[[float], Difference] | None
    basis: str


class Verdict(NamedTuple):
    """How a row differs from the reference.

    Attributes:
        place: The position of the row.
        difference: The metric of the row minus that of the reference; None if there is no test.
        basis: What it rests on, or why there is none.
    """

    place: int
    difference: Difference | None
    basis: str


class Verdicts(NamedTuple):
    """How all other rows differ from the reference.

    Attributes:
        metric: What is compared.
        reference: The position of the row that the others are compared with.
        reason: Why it is this row.
        level: The level of each interval; all of them together hold with 95 %.
        found: One for each other row.
    """

    metric: str
    reference: int
    reason: str
    level: float
    found: list[Verdict]


def verdicts(
    groups: Sequence[Group], names: Sequence[str], metric: str, against: Sequence[str]
) -> Verdicts:
    """Compare every row with the one that `--against` names, or else the best by validation.

    Of k intervals, each may be wrong with a risk of 5 % / k (Bonferroni), all together of 5 %.
    """
    baseline, reason = reference(groups, names, metric, against)
    others = [place for place in range(len(groups)) if place != baseline]
    plans = [planned(groups[place], groups[baseline], metric) for place in others]
    level = 1 - RISK / max(1, sum(plan.test is not None for plan in plans))
    found = [judged(place, plan, level) for place, plan in zip(others, plans, strict=True)]
    return Verdicts(metric, baseline, reason, level, found)


def judged(place: int, plan: Plan, level: float) -> Verdict:
    """Return the verdict that a test gives."""
    if plan.test is None:
        return Verdict(place, None, plan.basis)
    difference = plan.test(level)
    return Verdict(place, difference, plan.basis.format(p=difference.p))


def planned(ours: Group, others: Group, metric: str) -> Plan:
    """Return the test of two rows: Welch's for several seeds, a paired one for one run each."""
    a, b = values(ours, metric), values(others, metric)
    if len(a) < len(ours) or len(b) < len(others) or not np.isfinite([*a, *b]).all():
        return Plan(None, f"{metric} is missing")
    if len({run.test_set for run in (*ours, *others)}) > 1:
        return Plan(None, "other test data")
    if min(len(a), len(b)) >= SEEDS:
        return Plan(partial(welch, a, b), "Welch's t-test")
    if len(a) == len(b) == 1:
        return paired(ours[0], others[0], metric)
    hint = "; give --against a row that has more" if len(b) < SEEDS <= len(a) else ""
    return Plan(None, f"fewer than {SEEDS} seeds{hint}")


def paired(ours: Run, other: Run, metric: str) -> Plan:
    """Return the test of two single runs, by what each predicted for the same samples."""
    try:
        a, b = outcome(ours), outcome(other)
    except UserError as error:
        return Plan(None, str(error))
    if a.targets != b.targets:
        return Plan(None, "other test data")
    if a.metric != metric:
        return Plan(None, f"single runs are compared by {a.metric}")
    samples = f"{len(a.scores):,} test samples"
    if metric == "test/mse":
        return Plan(partial(paired_errors, a.scores, b.scores), f"paired t-test on {samples}")
    alone = f"{(a.scores != b.scores).sum():,} of {samples} right in one run only"
    return Plan(partial(paired_accuracy, a.scores, b.scores), f"{alone}, McNemar's p = {{p:.2g}}")


def columns(found: Verdicts, names: Sequence[str]) -> list[list[object]]:
    """Return the verdicts as columns of a table: the names first, then the values of each row."""
    rows: dict[int, list[object]] = {place: [""] * 4 for place in range(len(names))}
    for one in found.found:
        if one.difference:
            rows[one.place] = [*one.difference[:3], names[found.reference]]
    return [["difference", "low", "high", "compared with"], *rows.values()]
