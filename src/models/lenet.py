"""LeNet-5, a convolutional network: convolutions use which pixels are neighbours."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from src.errors import UserError
from src.models.base import Model
from src.models.layers import ACTIVATIONS, Activation

POOLS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class LeNet(Model):
    """LeNet-5 in its modern form (LeCun et al., Proceedings of the IEEE 86, 1998, figure 2).

    Two 5x5 convolutions with pooling and three dense layers: 61,706 parameters for one channel and
    62,006 for three, on 32x32 input. Unlike in the paper, ReLU and max pooling replace scaled
    tanh and trainable subsampling, all 6 feature maps feed all 16, and softmax replaces radial
    basis outputs.

    Args:
        input_shape: Channels, height and width of an image. The CLI takes it from the data.
        num_outputs: Number of classes or predicted values. The CLI takes it from the data.
        activation: Function after each layer except the last; the paper uses tanh.
        pool: 2x2 pooling, by the maximum, or by the average as in the paper.
        bias: Whether every layer has a bias.

    Raises:
        UserError: If an example is not an image of at least 16x16 pixels.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (1, 32, 32),
        num_outputs: int = 10,
        activation: Activation = "relu",
        pool: Literal["max", "avg"] = "max",
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        channels, rows, columns = _checked_shape(input_shape)
        act = ACTIVATIONS[activation]
        features = 16 * _side_after(rows) * _side_after(columns)  # 16 * 5 * 5 = 400 for 32x32
        net = nn.Sequential(
            nn.Conv2d(channels, 6, kernel_size=5, bias=bias),
            *_halved(activation, pool),  # (B, 6, 14, 14)
            nn.Conv2d(6, 16, kernel_size=5, bias=bias),
            *_halved(activation, pool),  # (B, 16, 5, 5)
            nn.Flatten(),
            nn.Linear(features, 120, bias), act(),
            nn.Linear(120, 84, bias), act(),
            nn.Linear(84, num_outputs, bias),
        )  # fmt: skip
        # On a CPU, pooling takes half the time in channels_last memory format.
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__(net, **kwargs)


def _checked_shape(shape: Sequence[int]) -> Sequence[int]:
    if len(shape) == 3 and min(shape[1:]) >= 16:
        return shape
    raise UserError(
        f"LeNet needs images of at least 16x16 pixels, but an example has shape {tuple(shape)}.\n"
        "Use image data (--data MNIST), or a model for flat input (--model ReLUMLP)."
    )


def _halved(activation: Activation, pool: Literal["max", "avg"]) -> list[nn.Module]:
    """Return activation and pooling, swapped if that gives equal values at less cost."""
    layers = [ACTIVATIONS[activation](), POOLS[pool](2)]
    pool_first = activation == "relu" and pool == "max"  # ReLU of a quarter of the values
    return layers[::-1] if pool_first else layers


def _side_after(side: int) -> int:
    """Return the side length of a feature map after both convolutions (-4) and poolings (/2)."""
    return ((side - 4) // 2 - 4) // 2
