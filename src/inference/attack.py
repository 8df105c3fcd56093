"""Images changed so that a network errs, by so little that people hardly see it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def fast_gradient(loss: Callable[[Tensor], Tensor], x: Tensor, epsilons: Sequence[float]) -> Tensor:
    """Return images with each value moved by epsilon, up or down, whichever raises the loss.

    The method: Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples",
    ICLR 2015, equation 4.

    Args:
        loss: Maps images to the loss of the true classes, a scalar.
        x: Images in [0, 1], `(n, channels, rows, columns)`.
        epsilons: How far each value is moved at most; the images stay in [0, 1].

    Returns:
        Images `(epsilons, n, channels, rows, columns)`.
    """
    with torch.enable_grad():
        images = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(images), images)
    return torch.stack([(x + by * gradient.sign()).clamp(0, 1) for by in epsilons])


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """Return the logarithm of the odds against the true classes, summed over samples.

    Cross-entropy rises with it, so the signs of both gradients are equal; but where a network is
    so sure that cross-entropy is rounded to zero, and its gradient with it, this one is not.

    Args:
        logits: Outputs `(n, classes)`.
        y: The true classes `(n,)`.
    """
    place = y[:, None]
    others = (logits - logits.gather(1, place)).scatter(1, place, -torch.inf)
    return others.logsumexp(dim=1).sum()
