"""Data modules; those listed here can be selected by class name, as in `--data MNIST`."""

from src.data.base import TensorData
from src.data.cifar10 import CIFAR10
from src.data.folder import ImageFolder
from src.data.line import Line
from src.data.mnist import MNIST
from src.data.noise import Noise
from src.data.smooth import SmoothFunction

__all__ = ["CIFAR10", "MNIST", "ImageFolder", "Line", "Noise", "SmoothFunction", "TensorData"]
