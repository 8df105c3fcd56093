"""The data sets, one LightningDataModule a file; a class listed here has a short name as --data.

It may import ground modules only; all packages but models and plots may import it.
"""

import src.libraries  # noqa: F401  (first)
from src.data.base import TensorData
from src.data.cifar10 import CIFAR10
from src.data.folder import ImageFolder
from src.data.line import Line
from src.data.mnist import MNIST
from src.data.noise import Noise
from src.data.smooth import SmoothFunction

__all__ = ["CIFAR10", "MNIST", "ImageFolder", "Line", "Noise", "SmoothFunction", "TensorData"]
