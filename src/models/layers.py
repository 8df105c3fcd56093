"""Building blocks shared by several models."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import nn

Activation = Literal["relu", "sigmoid", "tanh", "gelu"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
}


def multilayer(
    sizes: Sequence[int], activation: Activation, dropout: float = 0.0, bias: bool = True
) -> nn.Sequential:
    """Return a multilayer perceptron `(B, ...)` -> `(B, sizes[-1])` with no activation at the end.

    Args:
        sizes: Number of input values, of units of each hidden layer, and of outputs.
        activation: Activation function after each hidden layer.
        dropout: Share of hidden units set to zero in training, after each activation.
        bias: Whether every layer has a bias.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs, bias), ACTIVATIONS[activation]()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1], bias))
