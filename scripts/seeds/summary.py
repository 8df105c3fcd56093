"""What many seeds say together: mean, standard deviation and the interval of the mean."""

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from scripts.compare.significance import mean_interval
from scripts.many.numbers import shown

OF_ONE_BATCH = ("train/loss", "train/lr")  # the last logged value, no mean over an epoch


class Summary(NamedTuple):
    """A metric over seeds.

    Attributes:
        n: The number of seeds.
        mean: Their mean.
        sd: Their standard deviation with n - 1 in the denominator; NaN for one seed.
        low: Lower end of the 95 % interval of the mean; NaN for one seed.
        high: Upper end.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Return mean, standard deviation and the 95 % interval by Student's t distribution.

    It is that of a mean of normally distributed values (Student, "The probable error of a mean",
    Biometrika 6, 1908): mean ± t(n - 1) * sd / sqrt(n).
    """
    n, middle = len(values), mean(values)
    if n == 1:
        return Summary(n, middle, math.nan, math.nan, math.nan)
    return Summary(n, middle, stdev(values), *mean_interval(values))


def of_metrics(runs: Sequence[dict[str, Any]]) -> dict[str, Summary]:
    """Return the summary of each metric that all runs have, those of the test first.

    Args:
        runs: The contents of their results.json.
    """
    names = set.intersection(*(set(run["metrics"]) for run in runs)) - {*OF_ONE_BATCH}
    stages = ("test", "val", "train")
    order = sorted(names, key=lambda name: (stages.index(name.split("/")[0]), name))
    return {name: summary([run["metrics"][name] for run in runs]) for name in order}


def told(name: str, one: Summary) -> list[str]:
    """Return a metric as text: its name, mean ± sd, and the interval."""
    if one.n == 1:
        return [name, shown(name, one.mean), "needs two seeds"]
    most = 1.0 if name.endswith("/acc") else math.inf  # an interval of few seeds may go beyond
    ends = [shown(name, min(max(end, 0.0), most)) for end in (one.low, one.high)]
    return [name, shown(name, one.mean, one.sd), " to ".join(ends)]
