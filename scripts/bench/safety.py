"""What stands between a run and its loss, timed within a run: looks at each step, and checkpoints.

    ./scripts/run safety configs/mnist_mlp.yaml

prints the seconds of fit, of the looks, and of each checkpoint, as a list. `bench` calls it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
from lightning.pytorch import Trainer

from src.callbacks import FiniteGuard, ResumePoints, StepSeed
from src.cli import main as linenet


def safety(config: Path, epochs: int, accelerator: str) -> Iterator[float]:
    """Yield the seconds of linenet's fit, of its looks at each step, of each checkpoint."""
    looks: list[float] = []
    saves: list[float] = []
    nothing: list[float] = []  # the clock's own time
    own: list[float] = []  # checkpoints within the looks
    time_calls(StepSeed, "on_train_batch_start", looks)
    for hook in ("on_train_epoch_start", "on_train_batch_start", "on_train_end"):
        time_calls(ResumePoints, hook, looks)
    time_calls(FiniteGuard, "on_before_backward", looks)
    time_calls(FiniteGuard, "on_train_end", looks)
    time_calls(ResumePoints, "_save", own)
    time_calls(Trainer, "save_checkpoint", saves)
    with (
        tempfile.TemporaryDirectory() as folder,
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
    ):
        words = ["fit", "--config", str(config), f"--trainer.logger.save_dir={folder}"]
        linenet([*words, f"--trainer.max_epochs={epochs}", "--data.source=mnist",
                 f"--trainer.accelerator={accelerator}"])  # fmt: skip
        [results] = Path(folder).rglob("results.json")
        yield json.loads(results.read_text())["seconds"]["fit"]
    time_calls(Nothing, "call", nothing)
    for _ in looks:
        Nothing().call(None, None)
    yield sum(looks) - sum(own) - sum(nothing)
    yield from saves


class Nothing:
    """What the clock itself is timed with."""

    def call(self, trainer: None, pl_module: None) -> None:
        return


def time_calls(owner: type, name: str, seconds: list[float]) -> None:
    """Have every call of a method leave its seconds in a list."""
    call = getattr(owner, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - started)

    setattr(owner, name, timed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path, help="one of configs/mnist_*.yaml")
    parser.add_argument("--epochs", type=int, default=3, help="3")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="cpu")
    arguments = parser.parse_args()
    print(json.dumps(list(safety(arguments.config, arguments.epochs, arguments.accelerator))))


if __name__ == "__main__":
    main()
