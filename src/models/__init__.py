"""The models, one LightningModule a file; a class listed here has a short name as --model.

Imports training and ground modules; callbacks, command and scripts import it.
"""

import src.libraries  # noqa: F401  (first)
from src.models.base import Model
from src.models.lenet import LeNet
from src.models.linear_regression import LinearRegression
from src.models.logistic_regression import LogisticRegression
from src.models.relu_mlp import ReLUMLP
from src.models.sigmoid_mlp import SigmoidMLP

__all__ = ["LeNet", "LinearRegression", "LogisticRegression", "Model", "ReLUMLP", "SigmoidMLP"]
