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
