"""Times linenet's safety checks and checkpoints within a training run.

    python -m scripts.bench.safety configs/mnist_mlp.yaml

Prints a list: the seconds of fit, of all checks in its steps, and of each checkpoint. `bench` calls
it.
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
    """Yield the seconds of fit, of the checks in all steps, and of each checkpoint."""
    checks: list[float] = []
    saves: list[float] = []
    overhead: list[float] = []  # of the timing itself
    own: list[float] = []  # checkpoints written during the checks
    time_calls(StepSeed, "on_train_batch_start", checks)
    for hook in ("on_train_epoch_start", "on_train_batch_start", "on_train_end"):
        time_calls(ResumePoints, hook, checks)
    time_calls(FiniteGuard, "on_before_backward", checks)
    time_calls(FiniteGuard, "on_train_end", checks)
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
    time_calls(Empty, "call", overhead)
    for _ in checks:
        Empty().call(None, None)
    yield sum(checks) - sum(own) - sum(overhead)
    yield from saves


class Empty:
    """A class with an empty method, to time the overhead of the timing."""

    def call(self, trainer: None, pl_module: None) -> None:
        return


def time_calls(owner: type, name: str, seconds: list[float]) -> None:
    """Patch a method so that every call appends its seconds to a list."""
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
    parser.add_argument("--epochs", type=int, default=3, help="default 3")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="default cpu")
    arguments = parser.parse_args()
    print(json.dumps(list(safety(arguments.config, arguments.epochs, arguments.accelerator))))


if __name__ == "__main__":
    main()
