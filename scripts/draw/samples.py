"""Test images to click on, where the data set of a run is at hand; nothing is downloaded."""

import warnings
from pathlib import Path

from PIL import Image, ImageOps
from torch import Tensor

from src.data import CIFAR10, MNIST, ImageFolder
from src.data.image_files import list_images, read_images
from src.data.images import ImageData
from src.errors import UserError

MOST = 10


def samples(data: ImageData) -> list[tuple[str, Image.Image]]:
    """Return a test image of each class with its name, of ten at most; none without files.

    MNIST is shown dark on light, as on paper, and understood either way.
    """
    try:
        images, labels = few(data)
    except UserError:
        return []
    pictures = [Image.fromarray(x.permute(1, 2, 0).squeeze(2).numpy()) for x in images]
    if isinstance(data, MNIST):
        pictures = [ImageOps.invert(picture) for picture in pictures]
    return list(zip([data.class_names[y] for y in labels.tolist()], pictures, strict=True))


def few(data: ImageData) -> tuple[Tensor, Tensor]:
    """Return the first test image of each class, and its label."""
    if isinstance(data, ImageFolder):
        return first_files(data, data.path)
    if isinstance(data, CIFAR10) and not data.batches.is_dir():
        return first_files(data, data.jpeg)  # to unpack all would take seconds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of small digits in place of MNIST: they will do here
        _, (x, y) = data.load()
    first = [int((y == label).nonzero()[0]) for label in y.unique()[:MOST]]
    return x[first], y[first]


def first_files(data: ImageData, path: Path) -> tuple[Tensor, Tensor]:
    """Read only the first file of each class from a folder or zip file."""
    channels, rows, _ = data.input_shape
    classes = list(list_images(path)["test"].items())[:MOST]
    first = {name: files[:1] for name, files in classes}
    return read_images(path, first, rows - 2 * data.pad, channels)
