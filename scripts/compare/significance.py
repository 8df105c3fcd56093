"""Whether a difference is more than chance: intervals and tests, by scipy."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

FEW = 25  # pairs that differ; for fewer, the approximation of McNemar's test is too coarse
RESAMPLES = 9999


class Difference(NamedTuple):
    """A difference of two means, an interval that holds the true one, and a p-value."""

    mean: float
    low: float
    high: float
    p: float


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the interval of Student's t for the mean of at least two values."""
    found, spread = np.asarray(values, dtype=float), stats.sem(values)
    if not spread:
        return found[0], found[0]
    low, high = stats.t.interval(level, len(found) - 1, loc=found.mean(), scale=spread)
    return float(low), float(high)


def welch(ours: Sequence[float], others: Sequence[float], level: float) -> Difference:
    """Return the difference of the means of two samples, which may vary unequally.

    B. L. Welch, "The generalization of 'Student's' problem when several different population
    variances are involved", Biometrika 34, 1947.
    """
    a, b = np.asarray(ours, dtype=float), np.asarray(others, dtype=float)
    if not np.ptp(a) and not np.ptp(b):
        return certain(a[0] - b[0])
    return by_test(stats.ttest_ind, a, b, level, equal_var=False)


def paired_errors(ours: np.ndarray, others: np.ndarray, level: float) -> Difference:
    """Return the difference of the mean errors on the same samples, by the paired t-test."""
    if not np.ptp(ours - others):
        return certain(ours[0] - others[0])
    return by_test(stats.ttest_rel, ours, others, level)


def by_test(test: Any, a: np.ndarray, b: np.ndarray, level: float, **options: Any) -> Difference:
    """Return the difference of two means by a test of scipy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of one side without any spread
        result = test(a, b, **options)
        interval = result.confidence_interval(level)
    return Difference(float(a.mean() - b.mean()), *map(float, interval), float(result.pvalue))


def certain(difference: float) -> Difference:
    """Return a difference that is the same in every sample."""
    return Difference(*[float(difference)] * 3, float(difference == 0))


def paired_accuracy(ours: np.ndarray, others: np.ndarray, level: float) -> Difference:
    """Return the difference of two accuracies on the same samples.

    The p-value is that of McNemar's test, the interval that of the percentile bootstrap over
    samples. A resampled data set is drawn as three counts, of samples that only one side or both
    have right, which is the same as drawing each sample, and takes no time.

    Args:
        ours: Whether one side has each sample right `(n,)`.
        others: The same for the other side.
        level: The level of the interval.
    """
    counts = np.array([(ours & ~others).sum(), (others & ~ours).sum(), (ours == others).sum()])
    n = counts.sum()
    drawn = np.random.default_rng(0).multinomial(n, counts / n, RESAMPLES)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, tails)
    mean = (counts[0] - counts[1]) / n
    return Difference(float(mean), float(low), float(high), mcnemar(int(counts[0]), int(counts[1])))


def mcnemar(only_ours: int, only_others: int) -> float:
    """Return the p-value of McNemar's test, given the samples that one side alone has right.

    Exact for few such samples, else by chi-square with the correction of Edwards. Q. McNemar,
    Psychometrika 12, 1947; A. L. Edwards, Psychometrika 13, 1948.
    """
    differ = only_ours + only_others
    if differ < FEW:
        return float(stats.binomtest(only_ours, differ).pvalue) if differ else 1.0
    return float(stats.chi2.sf((abs(only_ours - only_others) - 1) ** 2 / differ, df=1))
