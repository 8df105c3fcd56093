"""Multilayer perceptron with sigmoid units, which allow nonlinear class boundaries."""

from collections.abc import Sequence
from math import prod
from typing import Any

from src.models.base import Model
from src.models.layers import Activation, multilayer
from src.ranges import Width


class SigmoidMLP(Model):
    """Multilayer perceptron with sigmoid hidden units (Rumelhart, Hinton and Williams, 1986).

    Args:
        input_shape: Shape of one example, which is flattened. The CLI takes it from the data.
        num_outputs: Number of classes or predicted values. The CLI takes it from the data.
        hidden: Number of units of each hidden layer.
        activation: Activation function after each hidden layer.
        bias: Whether every layer has a bias.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (1, 28, 28),
        num_outputs: int = 10,
        hidden: Sequence[Width] = (512,),
        activation: Activation = "sigmoid",
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        sizes = [prod(input_shape), *hidden, num_outputs]
        super().__init__(multilayer(sizes, activation, bias=bias), **kwargs)
