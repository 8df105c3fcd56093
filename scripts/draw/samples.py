"""Loads sample test images for the drawing page, from files on disk only."""

import warnings
from pathlib import Path

from PIL import Image, ImageOps
from torch import Tensor

from src.data import CIFAR10, MNIST, ImageFolder
from src.data.class_folders import list_images
from src.data.image_files import read_images
from src.data.images import ImageData
from src.errors import UserError

MAX_CLASSES = 10


def samples(data: ImageData) -> list[tuple[str, Image.Image]]:
    """Return class name and a test image for up to ten classes; empty if the files are missing.

    MNIST is inverted to dark on light, as on paper; the data set accepts both.
    """
    try:
        images, labels = first_of_each_class(data)
    except UserError:
        return []
    pictures = [Image.fromarray(x.permute(1, 2, 0).squeeze(2).numpy()) for x in images]
    if isinstance(data, MNIST):
        pictures = [ImageOps.invert(picture) for picture in pictures]
    return list(zip([data.class_names[y] for y in labels.tolist()], pictures, strict=True))


def first_of_each_class(data: ImageData) -> tuple[Tensor, Tensor]:
    """Return the first test image of each class, and its label."""
    if isinstance(data, ImageFolder):
        return first_files(data, data.path)
    if isinstance(data, CIFAR10) and not data.batches.is_dir():
        return first_files(data, data.jpeg)  # unpacking all batches takes seconds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's digits may replace MNIST here
        _, (x, y) = data.load()
    first = [int((y == label).nonzero()[0]) for label in y.unique()[:MAX_CLASSES]]
    return x[first], y[first]


def first_files(data: ImageData, path: Path) -> tuple[Tensor, Tensor]:
    """Read only the first file of each class from a folder or zip file."""
    channels, rows, _ = data.input_shape
    classes = list(list_images(path)["test"].items())[:MAX_CLASSES]
    first = {name: files[:1] for name, files in classes}
    return read_images(path, first, rows - 2 * data.pad, channels)
