"""How well probabilities are calibrated: whether they are right as often as they say.

The measures and the method are those of Guo et al., "On calibration of modern neural networks",
ICML 2017.
"""

from math import exp, log
from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from torch import Tensor

from src.plots.classification import bins

LEAST = 1e-30  # probabilities below are raised to it: the logarithm of zero is infinite
HOTTEST = 20.0  # the largest temperature; the smallest is its inverse


class Calibration(NamedTuple):
    """How well probabilities are calibrated.

    Attributes:
        ece: The expected calibration error: the gap between confidence and accuracy, by bins of
            confidence, averaged over samples.
        nll: The mean negative logarithm of the probability of the true class.
        bins: For each bin that is not empty: number of samples, mean confidence, accuracy, and the
            lower and upper end of the 95 % interval of the accuracy (Wilson, 1927).
    """

    ece: float
    nll: float
    bins: list[tuple[int, float, float, float, float]]


def calibration(probabilities: Tensor, y: Tensor) -> Calibration:
    """Return the calibration of probabilities `(n, classes)`, given the true classes `(n,)`."""
    confidence, predicted = probabilities.max(dim=1)
    count, sure, share = bins(confidence, predicted == y)
    ece = float((count * (sure - share).abs()).sum() / count.sum())
    rows = zip(count.long().tolist(), sure.tolist(), share.tolist(), strict=True)
    filled = [(n, c, a, *interval(round(n * a), n)) for n, c, a in rows if n]
    return Calibration(ece, float(F.nll_loss(logarithm(probabilities), y)), filled)


def interval(right: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy: how many of n samples are right."""
    found = binomtest(right, n).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def temperature(probabilities: Tensor, y: Tensor) -> float:
    """Return the temperature with the lowest negative log-likelihood of samples held out."""
    logs = logarithm(probabilities)

    def loss(log_temperature: float) -> float:
        return float(F.nll_loss((logs / exp(log_temperature)).log_softmax(dim=1), y))

    reach = log(HOTTEST)
    return exp(minimize_scalar(loss, bounds=(-reach, reach), method="bounded").x)


def scaled(probabilities: Tensor, by: float) -> Tensor:
    """Return probabilities at another temperature; for a softmax, its logits divided by it."""
    return (logarithm(probabilities) / by).softmax(dim=1)


def logarithm(probabilities: Tensor) -> Tensor:
    return probabilities.double().clamp(min=LEAST).log()


def auroc(confidence: Tensor, strange: Tensor) -> float:
    """Return how often a known sample is met with more confidence than a strange one.

    This is the area under the ROC curve; 0.5 is chance. With the probability of the predicted
    class as confidence: Hendrycks and Gimpel, "A baseline for detecting misclassified and
    out-of-distribution examples in neural networks", ICLR 2017.

    Args:
        confidence: Confidence in known samples `(n,)`.
        strange: Confidence in samples of no known class `(m,)`.
    """
    from torchmetrics.functional.classification import binary_auroc

    scores = torch.cat([confidence, strange])
    known = torch.arange(len(scores)) < len(confidence)
    return float(binary_auroc(scores, known.long()))
