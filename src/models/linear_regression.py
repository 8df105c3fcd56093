"""Linear regression, fitted by gradient descent."""

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from src.models.base import Model


class LinearRegression(Model):
    """Linear regression, y = W x + b, by least squares (Legendre, 1805).

    With one input and one output this is the line y = slope x + intercept. For classes it is the
    linear classifier by least squares on one-hot targets (LeCun et al., 1998, section III.C.1).

    Args:
        input_shape: Shape of one example, which is flattened. The CLI takes it from the data.
        num_outputs: Number of predicted values. The CLI takes it from the data.
        bias: Whether the line has an intercept b.
        loss: The squared error averaged over examples and outputs, the only choice; an argument so
            that the hyperparameters record it.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (1,),
        num_outputs: int = 1,
        bias: bool = True,
        loss: Literal["mse"] = "mse",
        **kwargs: Any,
    ) -> None:
        net = nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), num_outputs, bias))
        super().__init__(net, loss=loss, **kwargs)


def least_squares(x: Tensor, y: Tensor, bias: bool) -> Tensor:
    """Return the closed-form solution of linear regression: weights, then the bias if any.

    Args:
        x: Samples `(n, features)`.
        y: Targets `(n, 1)`.
        bias: Whether to fit an intercept, by adding a column of ones to x.
    """
    columns = [x.double()] + [torch.ones(len(x), 1, dtype=torch.float64)] * bias
    return torch.linalg.lstsq(torch.cat(columns, dim=1), y.double()).solution
