"""Logistic regression: a linear classifier."""

from collections.abc import Sequence
from math import prod
from typing import Any

from torch import nn

from src.models.base import Model


class LogisticRegression(Model):
    """Multinomial logistic (softmax) regression: p(class | x) = softmax(W x + b).

    The network returns logits; the softmax is part of the cross-entropy. See Bishop, Pattern
    Recognition and Machine Learning (2006), section 4.3.4.

    Args:
        input_shape: Shape of one example, which is flattened. The CLI takes it from the data.
        num_outputs: Number of classes. The CLI takes it from the data.
        bias: Whether each class has a bias b.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (1, 28, 28),
        num_outputs: int = 10,
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        net = nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), num_outputs, bias))
        super().__init__(net, **kwargs)
