"""Fuzzes the reader of IDX files.

`fuzz_idx` damages small IDX files at random, reads them as linenet does, and compares the result
with that of a strict parser of the format: each file must be read correctly or refused with an
error message.
"""

import gzip
import hashlib
import struct
import tracemalloc
import zlib
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import src.libraries  # noqa: F401  (first)

# isort: split
import numpy as np

from src.data.idx import read_idx
from src.errors import UserError

SECONDS, MEGABYTES = 1.0, 4.0  # limits for reading a file, whose array has a few kilobytes
FORMS = [(8, 3), (8, 1), (12, 2)]  # type and dimensions of images, labels, QMNIST's labels
TYPES = {8: ">u1", 12: ">i4"}
SIZES = [0, 1, 27, 29, 2**16, 2**31, 2**32 - 1]
BOMB = gzip.compress(bytes(2**22 + 1))  # an odd size, which no flipped bit makes valid


class Fuzz(NamedTuple):
    """The results of reading damaged files.

    Attributes:
        tries: Number of files.
        handled: Number of files that were handled correctly.
        readable: Number of files that were still valid.
        worst: Seconds of the slowest file.
        faults: What went wrong with the others.
    """

    tries: int
    handled: int
    readable: int
    worst: float
    faults: list[str]


def fuzz_idx(tries: int, seed: int = 0) -> Fuzz:
    """Read damaged IDX files, each without and with the md5 sum of the undamaged file."""
    rng = Random(seed)
    tracemalloc.start()
    try:
        with TemporaryDirectory() as folder:
            ends = [_attempt(Path(folder), rng) for _ in range(tries)]
    finally:
        tracemalloc.stop()
    faults = [fault for fault, _, _ in ends if fault]
    readable = sum(whole for _, whole, _ in ends)
    return Fuzz(tries, tries - len(faults), readable, max(end[2] for end in ends), faults)


def _attempt(folder: Path, rng: Random) -> tuple[str, bool, float]:
    """Return what went wrong with one file (or ""), whether it was valid, and the seconds."""
    kind, dimensions = rng.choice(FORMS)
    packed = rng.random() < 0.5
    plain = idx_file(kind, dimensions, rng)
    published = gzip.compress(plain, mtime=0) if packed else plain
    content = mutated(plain, rng)
    if packed:
        content = mutated(gzip.compress(content, mtime=0), rng)
    path = folder / ("array.gz" if packed else "array")
    path.write_bytes(content)
    array = parse_strictly(content, packed, dimensions)
    trusted = array if content == published else None
    md5 = hashlib.md5(published).hexdigest()
    tracemalloc.reset_peak()
    start = perf_counter()
    fault = _fault(path, dimensions, None, array) or _fault(path, dimensions, md5, trusted)
    seconds, peak = perf_counter() - start, tracemalloc.get_traced_memory()[1] / 1e6
    if seconds > SECONDS or peak > MEGABYTES:
        fault = fault or f"took {seconds:.1f} s and {peak:.0f} MB"
    return fault and f"{fault} ({content[:24].hex()}...)", array is not None, seconds


def idx_file(kind: int, dimensions: int, rng: Random) -> bytes:
    """Return the content of an IDX file of up to five random images, labels or rows."""
    shape = [rng.randrange(6), 28, 28] if dimensions == 3 else [rng.randrange(6), 8][:dimensions]
    header = struct.pack(f">HBB{dimensions}I", 0, kind, dimensions, *shape)
    return header + rng.randbytes(int(np.prod(shape)) * np.dtype(TYPES[kind]).itemsize)


def mutated(content: bytes, rng: Random) -> bytes:
    """Return the content with one random damage; sometimes with none, to test valid files."""
    place = rng.randrange(len(content))
    head = rng.randrange(min(16, len(content)))
    return rng.choice(
        [
            content,
            content[:place],
            content + rng.randbytes(rng.randrange(1, 9)),
            content + BOMB,
            rng.randbytes(len(content)),
            _put(content, place, bytes([content[place] ^ 1 << rng.randrange(8)])),
            _put(content, head, bytes([content[head] ^ 1 << rng.randrange(8)])),
            _put(content, 2, rng.randbytes(1)),  # the type
            _put(content, 3, bytes([rng.randrange(10)])),  # number of dimensions
            _put(content, rng.choice([4, 8, 12]), struct.pack(">I", rng.choice(SIZES))),
            _put(content, 4, struct.pack(">3I", *rng.choices(SIZES, k=3))),
            _put(content, 4, content[8:12] + content[4:8]),  # swapped sizes
        ]
    )


def _put(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]


def parse_strictly(content: bytes, packed: bool, dimensions: int) -> np.ndarray | None:
    """Return the array in a file, or None if the file violates the format."""
    try:
        content = gzip.decompress(content) if packed else content
        zeros, kind, count, *shape = struct.unpack_from(f">HBB{dimensions}I", content)
        body = np.frombuffer(content[4 + 4 * dimensions :], TYPES[kind])
        return None if zeros or count != dimensions else body.reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, LookupError, ValueError):
        return None


def _fault(path: Path, dimensions: int, md5: str | None, expected: np.ndarray | None) -> str:
    """Return what is wrong with how a file is read, or an empty string."""
    try:
        found = read_idx(path, dimensions, md5).numpy()
    except UserError as error:
        if expected is not None:
            return f"refused though it is valid: {error}"
        good = str(path) in str(error) and len(str(error).splitlines()) <= 3
        return "" if good else f"bad error message: {error}"
    except Exception as error:
        return f"ended in {error!r}"
    if expected is None:
        return f"read as {found.shape} though it is damaged"
    return "" if np.array_equal(found, expected) else "read as another array"
