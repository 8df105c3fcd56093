"""The fast-gradient attack equals its closed form for logistic regression."""

import numpy as np
import torch
import torch.nn.functional as F

from src.inference.attack import fast_gradient, log_odds
from src.models import LogisticRegression


def test_the_attack_is_the_closed_form_of_a_linear_model() -> None:
    model = LogisticRegression([1, 5, 5], 3).double()
    x, y = torch.rand(40, 1, 5, 5, dtype=torch.float64), torch.arange(40) % 3
    epsilons = (0.01, 0.1, 0.3)
    with torch.no_grad():  # as in the tool
        found = fast_gradient(lambda images: model.loss(model(images), y), x, epsilons)
    weight, bias = (part.detach().numpy() for part in model.net[1].parameters())
    scores = np.exp(x.flatten(1).numpy() @ weight.T + bias)
    gradient = (scores / scores.sum(axis=1, keepdims=True) - np.eye(3)[y]) @ weight
    for epsilon, images in zip(epsilons, found, strict=True):
        expected = np.clip(x.flatten(1).numpy() + epsilon * np.sign(gradient), 0, 1)
        np.testing.assert_allclose(images.flatten(1), expected, atol=1e-12)
    assert not x.requires_grad
    assert not found.requires_grad


def test_the_attack_raises_the_loss_of_each_sample() -> None:
    model = LogisticRegression([1, 5, 5], 3)
    x, y = torch.rand(40, 1, 5, 5), torch.arange(40) % 3
    [found] = fast_gradient(lambda images: model.loss(model(images), y), x, [0.05])
    before, after = (F.cross_entropy(model(z), y, reduction="none") for z in (x, found))
    assert (after > before).all()


def test_log_odds_move_as_cross_entropy_does_and_never_vanish() -> None:
    model = LogisticRegression([1, 5, 5], 3).double()
    x, y = torch.rand(40, 1, 5, 5, dtype=torch.float64), torch.arange(40) % 3
    losses = (F.cross_entropy, log_odds)
    both = [fast_gradient(lambda z, f=f: f(model(z), y), x, [0.1]) for f in losses]
    assert torch.equal(*both)
    p = model(x).softmax(dim=1).gather(1, y[:, None])
    torch.testing.assert_close(log_odds(model(x), y), (1 / p - 1).log().sum())
    sure = model.float()
    y = sure(x).argmax(dim=1)
    with torch.no_grad():
        for part in sure.parameters():
            part.mul_(1e4)
    [none], [some] = (fast_gradient(lambda z, f=f: f(sure(z), y), x.float(), [0.1]) for f in losses)
    assert (none == x.float()).float().mean() > 0.9  # its gradient is rounded to zero
    assert ((some - x.float()).abs() > 0.0).flatten(1).any(dim=1).all()
