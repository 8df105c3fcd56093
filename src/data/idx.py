"""The IDX file format of the MNIST family (LeCun, Cortes and Burges), plain or gzipped."""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from src.errors import UserError

TYPES: dict[int, np.dtype[Any]] = {
    8: np.dtype(np.uint8),
    12: np.dtype(">i4"),
}  # the two that the family uses


def read_idx(path: Path, dimensions: int) -> Tensor:
    """Return the array of an IDX file: uint8, or int32 for QMNIST's labels.

    Args:
        path: The file; gzipped if its name ends in .gz.
        dimensions: How many dimensions the array must have.

    Raises:
        UserError: If the file is not an IDX file of that form, or is cut or too long.
    """
    data = _content(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or data[3] != dimensions:
        wanted = " or ".join(f"0000{kind:02x}{dimensions:02x}" for kind in TYPES)
        raise _damaged(path, f"it starts with {data[:4].hex() or 'nothing'}, expected {wanted}")
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise _damaged(path, f"its header has {len(data)} bytes, expected {start}")
    shape = np.frombuffer(data, ">u4", dimensions, offset=4).tolist()
    size = start + prod(shape) * TYPES[data[2]].itemsize
    if len(data) != size:
        raise _damaged(path, f"it has {len(data)} bytes, expected {size} for {shape}")
    array = np.frombuffer(data, TYPES[data[2]], offset=start).reshape(shape)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _content(path: Path) -> bytearray:
    """Return the file's bytes in memory that may be written to, which torch asks for."""
    try:
        if path.suffix == ".gz":
            return bytearray(gzip.decompress(path.read_bytes()))
        data = bytearray(path.stat().st_size)
        with path.open("rb") as file:
            file.readinto(data)
        return data
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"it cannot be read ({error})") from error


def _damaged(path: Path, found: str) -> UserError:
    return UserError(f"{path} is damaged: {found}.\nDelete it, and it is downloaded again.")
