"""Reader for the IDX file format of the MNIST family (LeCun, Cortes and Burges), plain or .gz."""

import gzip
import zlib
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from src.data.checks import check_md5, is_file, shown
from src.errors import UserError

# The two types that the MNIST family uses, by their code.
TYPES: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 12: np.dtype(">i4")}
CHUNK = 2**20  # bytes read at a time
RATIO, SLACK = 100, 2**20  # no real file unpacks to over 100 times its size plus a megabyte
REMEDY = "Delete the file to download it again."
VERIFY_REMEDY = f"{REMEDY} To read a file of your own, give --data.verify false."


def read_idx(path: Path, dimensions: int, md5: str | None = None) -> Tensor:
    """Return the array of an IDX file: uint8, or int32 for QMNIST's labels.

    Memory is allocated for what the file contains, never for what only its header claims.

    Args:
        path: The file; gzipped if its name ends in .gz.
        dimensions: Required number of dimensions of the array.
        md5: The published md5 sum of the file; None skips the check.

    Raises:
        UserError: If the file is no IDX file with these dimensions, is truncated or too long, or
            has another md5 sum than the published one.
    """
    is_file(path)  # raises for a pipe, which would block
    try:
        with path.open("rb") as file:
            packed = path.suffix == ".gz"
            array = _array(path, gzip.GzipFile(fileobj=file) if packed else file, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"it cannot be read ({error})") from error
    if md5:
        check_md5(path, md5, VERIFY_REMEDY)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _array(path: Path, stream: BufferedIOBase, dimensions: int) -> np.ndarray:
    start = 4 + 4 * dimensions
    kind, shape = _header(path, stream.read(start), dimensions)
    size, file_size = start + prod(shape) * kind.itemsize, path.stat().st_size
    expected = f"expected {size} for {shape}"
    packed = path.suffix == ".gz"
    if not packed and file_size != size:
        raise _damaged(path, f"it has {file_size} bytes, {expected}")
    if size > RATIO * file_size + SLACK:
        raise _damaged(path, f"it has {file_size} bytes packed, but claims {size} for {shape}")
    body = _body(stream, size - start, known=0 if packed else size - start)
    if (found := start + len(body)) != size:
        raise _damaged(path, f"it has {'at least ' * (found > size)}{found} bytes, {expected}")
    try:
        return np.frombuffer(body, kind).reshape(shape)
    except ValueError as error:  # zero bytes, but sides too large for an array
        raise _damaged(path, f"its shape is {shape}") from error


def _header(path: Path, header: bytes, dimensions: int) -> tuple[np.dtype[Any], list[int]]:
    """Return the dtype and shape that a header claims."""
    known = len(header) > 3 and header[:2] == b"\0\0" and header[2] in TYPES
    if not known or header[3] != dimensions:
        wanted = " or ".join(f"0000{kind:02x}{dimensions:02x}" for kind in TYPES)
        raise _damaged(path, f"it starts with {header[:4].hex() or 'nothing'}, expected {wanted}")
    if len(header) < 4 + 4 * dimensions:
        found = f"its header has {len(header)} bytes, expected {4 + 4 * dimensions}"
        raise _damaged(path, found)
    return TYPES[header[2]], np.frombuffer(header, ">u4", dimensions, offset=4).tolist()


def _body(stream: BufferedIOBase, size: int, known: int) -> bytearray:
    """Return the rest of a stream, up to one byte more than `size`, as writable memory.

    Memory for the first `known` bytes is allocated at once, for further ones as they arrive.
    """
    body = bytearray(known)
    del body[stream.readinto(body) :]
    while chunk := stream.read(min(CHUNK, size + 1 - len(body))):
        body += chunk
    return body


def _damaged(path: Path, found: str) -> UserError:
    return UserError(f"{shown(path)} is damaged: {found}.\n{REMEDY}")
