"""The third rung: a hidden layer of sigmoids bends the boundaries between the classes."""

from collections.abc import Sequence
from math import prod
from typing import Any

from src.models.base import Model
from src.models.layers import Activation, multilayer
from src.ranges import Width


class SigmoidMLP(Model):
    """Multilayer perceptron with sigmoid hidden units (Rumelhart, Hinton and Williams, 1986).

    Args:
        input_shape: Shape of one example; flattened. Set by the data on the command line.
        num_outputs: Number of classes, or values. Set by the data on the command line.
        hidden: Units of each hidden layer.
        activation: What follows each hidden layer.
        bias: Whether every layer adds a bias.
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
