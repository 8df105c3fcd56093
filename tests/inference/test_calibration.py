"""Calibration, temperature and AUROC against numpy, scipy, statsmodels and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.optimize import root_scalar
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint
from torch import Tensor

from src.inference import calibration


def drawn(n: int = 4000, classes: int = 4, overconfident: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return logits and labels; the labels are drawn at the temperature `overconfident`."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    y = torch.multinomial((logits / overconfident).softmax(dim=1), 1, generator=generator)
    return logits, y[:, 0]


def test_the_calibration_error_is_that_of_a_loop() -> None:
    logits, y = drawn(overconfident=2.0)
    probabilities = logits.softmax(dim=1)
    found = calibration.calibration(probabilities, y)
    p, labels = probabilities.numpy(), y.numpy()
    error, filled = 0.0, []
    for k in range(15):
        inside = (p.max(axis=1) > k / 15) & (p.max(axis=1) <= (k + 1) / 15)
        if inside.any():
            right = p[inside].argmax(axis=1) == labels[inside]
            sure = p[inside].max(axis=1).mean()
            error += inside.mean() * abs(right.mean() - sure)
            ends = proportion_confint(right.sum(), len(right), 0.05, method="wilson")
            filled.append((len(right), sure, right.mean(), *ends))
    assert error > 0.05
    assert found.ece == pytest.approx(error, abs=1e-12)
    np.testing.assert_allclose(found.bins, filled, atol=1e-9)
    expected = -np.log(p[np.arange(len(p)), labels]).mean()
    assert found.nll == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_is_where_the_derivative_vanishes(true: float) -> None:
    logits, y = drawn(overconfident=true)
    found = calibration.temperature(logits.softmax(dim=1), y)
    z, labels = logits.numpy(), y.numpy()

    def slope(inverse: float) -> float:
        weights = np.exp(inverse * (z - z.max(axis=1, keepdims=True)))
        expected = (weights * z).sum(axis=1) / weights.sum(axis=1)
        return float((expected - z[np.arange(len(z)), labels]).mean())

    best = 1 / root_scalar(slope, bracket=(0.05, 20)).root
    assert found == pytest.approx(best, rel=1e-4)
    assert found == pytest.approx(true, rel=0.1)


def test_scaling_divides_the_logits_and_calibrates() -> None:
    logits, y = drawn(overconfident=2.5)
    probabilities = logits.softmax(dim=1)
    by = calibration.temperature(probabilities, y)
    after = calibration.scaled(probabilities, by)
    torch.testing.assert_close(after, (logits / by).softmax(dim=1))
    assert torch.equal(after.argmax(dim=1), probabilities.argmax(dim=1))
    both = [calibration.calibration(p, y) for p in (probabilities, after)]
    assert both[1].ece < both[0].ece / 5
    assert both[1].nll < both[0].nll


def test_a_probability_of_zero_is_not_infinite() -> None:
    certain = torch.eye(3)[torch.tensor([0, 1, 2, 0])]
    found = calibration.calibration(certain, torch.tensor([0, 1, 2, 1]))
    assert found.nll == pytest.approx(-np.log(calibration.LEAST) / 4)
    assert calibration.temperature(certain, torch.tensor([0, 1, 2, 0])) > 0


def test_auroc_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    known = (torch.rand(300, generator=generator) ** 0.5 * 20).round() / 20  # with ties
    strange = (torch.rand(200, generator=generator) * 20).round() / 20
    labels = [1] * 300 + [0] * 200
    expected = roc_auc_score(labels, torch.cat([known, strange]))
    assert calibration.auroc(known, strange) == pytest.approx(expected, abs=1e-6)
