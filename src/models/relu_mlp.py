"""Multilayer perceptron with ReLU, which passes gradients, and dropout against overfitting."""

from collections.abc import Sequence
from math import prod
from typing import Any

from jsonargparse.typing import ClosedUnitInterval

from src.models.base import Model
from src.models.layers import Activation, multilayer
from src.ranges import Width


class ReLUMLP(Model):
    """Multilayer perceptron with ReLU hidden units (Nair and Hinton, 2010) and dropout.

    Dropout follows Srivastava et al., JMLR 15 (2014): kept units are scaled up in training.

    Args:
        input_shape: Shape of one example, which is flattened. The CLI takes it from the data.
        num_outputs: Number of classes or predicted values. The CLI takes it from the data.
        hidden: Number of units of each hidden layer.
        activation: Activation function after each hidden layer.
        dropout: Share of hidden units, 0 to 1, set to zero in training.
        bias: Whether every layer has a bias.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (1, 28, 28),
        num_outputs: int = 10,
        hidden: Sequence[Width] = (128, 64),
        activation: Activation = "relu",
        dropout: ClosedUnitInterval = 0.0,
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        sizes = [prod(input_shape), *hidden, num_outputs]
        super().__init__(multilayer(sizes, activation, dropout, bias), **kwargs)
