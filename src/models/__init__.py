"""The models, one LightningModule per file; --model accepts the classes listed here by name.

It may import runs, training, inference and plots, but not data, which it meets at run time only;
callbacks, command and scripts may import it.
"""

import src.libraries  # noqa: F401  (first)
from src.models.base import Model
from src.models.lenet import LeNet
from src.models.linear_regression import LinearRegression
from src.models.logistic_regression import LogisticRegression
from src.models.relu_mlp import ReLUMLP
from src.models.sigmoid_mlp import SigmoidMLP

__all__ = ["LeNet", "LinearRegression", "LogisticRegression", "Model", "ReLUMLP", "SigmoidMLP"]
