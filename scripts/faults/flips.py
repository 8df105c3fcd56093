"""Checkpoints with a wrong bit, or cut short."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random

import torch

from scripts.faults.kills import CONFIGS, RUNS, SHORT
from scripts.faults.runs import differences, start, wait
from src.errors import UserError
from src.runs.checkpoint_io import read_checkpoint

LENGTHS = 101  # a file is cut short at every hundredth of its length, and by one byte


def checkpoints(folder: Path) -> list[Path]:
    """Train each of the models for ten steps, and return their checkpoints."""
    few = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=10"]
    for config in RUNS:
        words = ["fit", "--config", str(CONFIGS / f"{config}.yaml"), *SHORT, *few]
        if wait(start(folder / config, words, 10.0)):
            raise RuntimeError((folder / config / "log.txt").read_text())
    return [max(folder.glob(f"{config}/**/resume-*.ckpt")) for config in RUNS]


def flipped(paths: list[Path], random: Random) -> Iterator[str | None]:
    """Flip one bit of a checkpoint, put it back, and so on.

    Yields:
        What is wrong with how it was read, None if the bit was found or no value depends on it.
    """
    for path in cycle(paths):
        whole = path.read_bytes()
        content, place = bytearray(whole), random.randrange(8 * len(whole))
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        fault = misread(path, whole)
        path.write_bytes(whole)
        yield fault and f"bit {place}: {fault}"


def cut_short(paths: list[Path]) -> Iterator[str | None]:
    """Cut each checkpoint short at many lengths; yield as `flipped` does."""
    for path in paths:
        whole = path.read_bytes()
        for length in [*(len(whole) * i // LENGTHS for i in range(LENGTHS)), len(whole) - 1]:
            path.write_bytes(whole[:length])
            yield misread(path, whole)
        path.write_bytes(whole)


def misread(path: Path, whole: bytes) -> str | None:
    """Return what is wrong with how a damaged checkpoint is read, None if nothing is."""
    try:
        found = read_checkpoint(path)
    except UserError as error:
        said = str(error)
        return None if str(path) in said and len(said.splitlines()) <= 3 else f"said: {said}"
    except Exception as error:
        return f"raised {error!r}"
    sound = path.with_suffix(".sound")
    sound.write_bytes(whole)
    expected = torch.load(sound, weights_only=True)
    return next(differences(found, expected), None)
