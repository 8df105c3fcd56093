"""The intervals and tests of `compare` equal those of statsmodels, scipy's bootstrap and numpy."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from scripts.compare.significance import (
    Difference,
    mcnemar,
    mean_interval,
    paired_accuracy,
    paired_errors,
    welch,
)


def draws(n: int, mean: float, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, sd, n)


@pytest.mark.parametrize(("n", "m", "level"), [(3, 3, 0.95), (3, 10, 0.99), (8, 5, 0.975)])
def test_welch_equals_statsmodels_and_the_formula(n: int, m: int, level: float) -> None:
    a, b = draws(n, 0.98, 0.001, seed=n), draws(m, 0.97, 0.005, seed=m + 50)
    found = welch([*a], [*b], level)
    reference = CompareMeans(DescrStatsW(a), DescrStatsW(b))
    expected = reference.tconfint_diff(1 - level, usevar="unequal")
    np.testing.assert_allclose(found[1:3], expected, rtol=1e-9)
    assert found.p == pytest.approx(reference.ttest_ind(usevar="unequal")[1])
    parts = np.array([a.var(ddof=1) / n, b.var(ddof=1) / m])  # Welch and Satterthwaite, by hand
    freedom = parts.sum() ** 2 / (parts**2 / [n - 1, m - 1]).sum()
    half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(parts.sum())
    mean = a.mean() - b.mean()
    np.testing.assert_allclose(found[:3], [mean, mean - half, mean + half], rtol=1e-9)


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    held = 0
    for seed in range(400):
        found = welch([*draws(4, 0.5, 1.0, seed)], [*draws(6, 0.2, 3.0, seed + 1000)], 0.9)
        held += found.low <= 0.3 <= found.high
    assert 0.86 < held / 400 < 0.94  # 90 % and two standard errors of 1.5 %, rounded up


def test_samples_without_any_spread_differ_for_certain() -> None:
    assert welch([0.5] * 3, [0.5] * 4, 0.95) == Difference(0, 0, 0, 1)
    assert welch([0.5] * 3, [0.25] * 3, 0.95) == Difference(0.25, 0.25, 0.25, 0)
    assert paired_errors(np.ones(9), np.ones(9), 0.95) == Difference(0, 0, 0, 1)
    one = welch([0.5] * 3, [0.1, 0.2, 0.3], 0.95)  # without a warning
    assert one.mean == pytest.approx(0.3)
    assert one.low < 0.3 < one.high
    assert mean_interval([0.5] * 3) == (0.5, 0.5)


@pytest.mark.parametrize("pair", [(0, 0), (3, 9), (12, 12), (24, 0), (25, 0), (13, 12), (90, 60)])
def test_mcnemar_equals_statsmodels(pair: tuple[int, int]) -> None:
    only_a, only_b = pair
    table = [[500, only_a], [only_b, 40]]
    if only_a + only_b == 0:
        assert mcnemar(0, 0) == 1
    else:
        expected = reference_mcnemar(table, exact=sum(pair) < 25, correction=True).pvalue
        assert mcnemar(*pair) == pytest.approx(expected)


def test_the_difference_of_accuracies_has_the_bootstrap_interval_of_scipy() -> None:
    generator = np.random.default_rng(5)
    a, b = generator.random(700) < 0.93, generator.random(700) < 0.9
    found = paired_accuracy(a, b, 0.95)
    differences = a.astype(float) - b
    reference = stats.bootstrap(
        (differences,), np.mean, n_resamples=9999, method="percentile", batch=500,
        confidence_level=0.95,
    ).confidence_interval  # fmt: skip
    assert found.mean == pytest.approx(differences.mean())
    np.testing.assert_allclose(found[1:3], reference, atol=0.0015)  # a step is 1 / 700
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert found.p == pytest.approx(reference_mcnemar(table, exact=False).pvalue)
    assert paired_accuracy(a, b, 0.95) == found  # the draws are the same each time
    assert paired_accuracy(b, a, 0.95).mean == -found.mean
    assert paired_accuracy(a, a, 0.95) == Difference(0, 0, 0, 1)


def test_the_difference_of_errors_is_that_of_the_paired_t_test() -> None:
    a, b = draws(200, 0, 1, 1) ** 2, draws(200, 0, 1.2, 2) ** 2
    found, reference = paired_errors(a, b, 0.98), DescrStatsW(a - b)
    assert found.mean == pytest.approx((a - b).mean())
    np.testing.assert_allclose(found[1:3], reference.tconfint_mean(0.02), rtol=1e-9)
    assert found.p == pytest.approx(reference.ttest_mean()[1])


def test_the_interval_of_a_mean_equals_statsmodels() -> None:
    values = draws(5, 0.97, 0.01, 3)
    expected = DescrStatsW(values).tconfint_mean(0.05)
    np.testing.assert_allclose(mean_interval([*values]), expected, rtol=1e-9)
