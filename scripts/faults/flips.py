"""Flips bits in checkpoints or truncates them, and validates the reading."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random

import torch

from scripts.faults.kills import CONFIGS, RUNS, SHORT
from scripts.faults.runs import differences, start, wait
from src.errors import UserError
from src.runs.checkpoint_io import read_checkpoint

LENGTHS = 101  # a file is truncated at every hundredth of its length, and by one byte


def checkpoints(folder: Path) -> list[Path]:
    """Train each model for ten steps, and return the checkpoints."""
    few = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=10"]
    for config in RUNS:
        words = ["fit", "--config", str(CONFIGS / f"{config}.yaml"), *SHORT, *few]
        if wait(start(folder / config, words, 10.0)):
            raise RuntimeError((folder / config / "log.txt").read_text())
    return [max(folder.glob(f"{config}/**/resume-*.ckpt")) for config in RUNS]


def flipped(paths: list[Path], random: Random) -> Iterator[str | None]:
    """Flip one random bit of each checkpoint in turn, read the file, and restore it.

    Yields:
        What is wrong with the reading; None if the bit was detected or changes no value.
    """
    for path in cycle(paths):
        intact = path.read_bytes()
        content, bit = bytearray(intact), random.randrange(8 * len(intact))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        fault = misread(path, intact)
        path.write_bytes(intact)
        yield fault and f"bit {bit}: {fault}"


def cut_short(paths: list[Path]) -> Iterator[str | None]:
    """Truncate each checkpoint at many lengths; yield what `flipped` yields."""
    for path in paths:
        intact = path.read_bytes()
        for length in [*(len(intact) * i // LENGTHS for i in range(LENGTHS)), len(intact) - 1]:
            path.write_bytes(intact[:length])
            yield misread(path, intact)
        path.write_bytes(intact)


def misread(path: Path, intact: bytes) -> str | None:
    """Return what is wrong with how a damaged checkpoint is read, or None."""
    try:
        found = read_checkpoint(path)
    except UserError as error:
        text = str(error)
        good = str(path) in text and len(text.splitlines()) <= 3
        return None if good else f"bad error message: {text}"
    except Exception as error:
        return f"raised {error!r}"
    copy = path.with_suffix(".intact")
    copy.write_bytes(intact)
    expected = torch.load(copy, weights_only=True)
    return next(differences(found, expected), None)
