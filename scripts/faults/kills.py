"""Interrupts real runs, resumes them, and compares their results."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import src.files as files
from scripts.faults.runs import differences, kill, left, start, wait
from src.places import CONFIGS

SHORT = ["--trainer.max_epochs=2", "--trainer.limit_train_batches=100", "--seed_everything=3",
         "--trainer.enable_progress_bar=false", "--data.source=mnist"]  # fmt: skip
COSINE = ["--model.scheduler=CosineAnnealingLR", "--model.scheduler.T_max=200",
          "--model.scheduler_interval=step"]  # fmt: skip
RUNS = {  # cover OneCycle, momentum, cosine, dropout, augmentation
    "mnist_logistic": [],
    "mnist_sigmoid_mlp": [],
    "mnist_relu_mlp": COSINE,
    "mnist_mlp": [],
    "mnist_lenet": ["--config", str(CONFIGS / "with/augment.yaml")],
}
SECONDS = 0.1  # between two checkpoints, so that short runs have several
CUTS = 3  # interruptions per run
SIGNALS = [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
POINTS = ["as it is opened", "half written", "before it is flushed", "before it is renamed",
          "after it is renamed", "after the folder is flushed"]  # fmt: skip


class Subject:
    """A shipped config, shortened to a few seconds, and the results of an uninterrupted run."""

    def __init__(self, config: str, folder: Path) -> None:
        self.words = ["fit", "--config", str(CONFIGS / f"{config}.yaml"), *RUNS[config], *SHORT]
        self.runs = Path("lightning_logs", config)
        began = time.monotonic()
        if wait(self.start(folder)):
            raise RuntimeError((folder / "log.txt").read_text())
        self.seconds = time.monotonic() - began
        self.expected = left(folder / self.runs / "version_0")

    def start(self, folder: Path, plant: Callable[[], None] | None = None) -> int:
        """Start the run in a folder, or resume the one there, and return the process id."""
        return start(folder, [*self.words, "--resume=latest"], SECONDS, plant)

    def finish(self, folder: Path) -> list[str]:
        """Finish the run, and return its differences from the uninterrupted one."""
        if code := wait(self.start(folder)):
            return [f"exit code {code}: {(folder / 'log.txt').read_text()[-500:]}"]
        # A run that was killed before it wrote its config leaves an empty folder beside it.
        [run] = [path.parent for path in (folder / self.runs).glob("*/results.json")]
        leftovers = [
            path.name for path in run.rglob("*") if path.suffix == ".part" or path.name == ".lock"
        ]
        return [*leftovers, *differences(left(run), self.expected)]


@dataclass
class Cut:
    """An interruption of a run and its outcome."""

    interrupted: bool  # False if the run had already ended
    handled: bool = True
    seconds: float = 0.0  # from the signal to the exit
    faults: list[str] = field(default_factory=list)


Fault = Callable[[Subject, Path], Cut]


def killed(random: Random) -> Iterator[Fault]:
    """Yield kills at random moments."""

    def interrupt(subject: Subject, folder: Path) -> Cut:
        process = subject.start(folder)
        time.sleep(random.uniform(0, subject.seconds))
        kill(process)
        return Cut(wait(process) == -signal.SIGKILL)

    while True:
        yield interrupt


def killed_writing(random: Random) -> Iterator[Fault]:
    """Yield kills at each point of writing a file in turn: a checkpoint, config or results."""
    for point in cycle(POINTS):

        def interrupt(subject: Subject, folder: Path, point: str = point) -> Cut:
            skip = random.randrange(6)
            process = subject.start(folder, lambda: plant(point, skip))
            return Cut(wait(process) == -signal.SIGKILL)

        yield interrupt


def plant(point: str, skip: int) -> None:
    """Make this process kill itself at a point of writing a file, after skipping some files."""
    place, remaining = POINTS.index(point), skip

    def die() -> None:
        nonlocal remaining
        remaining -= 1
        if remaining < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def opened(path: Path, *args: Any, **kwargs: Any) -> Any:
        if place == 0 and path.suffix == ".part":
            die()
        return open_file(path, *args, **kwargs)

    def flushed(descriptor: int) -> None:
        is_file = os.path.isfile(f"/proc/self/fd/{descriptor}")  # noqa: PTH113
        if place == 1 and is_file and remaining == 0:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        if place in (1, 2) and is_file:
            die()
        flush(descriptor)
        if place == 5 and not is_file:
            die()

    def replaced(path: Path, target: Path) -> Path:
        if place == 3:
            die()
        path = replace(path, target)
        if place == 4:
            die()
        return path

    open_file, flush, replace = Path.open, os.fsync, Path.replace
    vars(files)["os"].fsync = flushed
    Path.open, Path.replace = opened, replaced  # type: ignore[method-assign, assignment]


def signalled(random: Random) -> Iterator[Fault]:
    """Yield signals at random moments, each kind in turn."""
    for number in cycle(SIGNALS):

        def interrupt(subject: Subject, folder: Path, number: signal.Signals = number) -> Cut:
            process = subject.start(folder)
            time.sleep(random.uniform(0, subject.seconds))
            is_over = any("test/loss" in path.read_text() for path in folder.rglob("results.json"))
            kill(process, number)
            began = time.monotonic()
            code = wait(process)
            seconds = time.monotonic() - began
            # Before the handlers are installed, the signal itself ends the process.
            right = code in (128 + number, -number) or (code == 0 and is_over)
            errors = [] if right else [f"{number.name}: exit code {code}"]
            return Cut(code != 0 or not is_over, right, seconds, errors)

        yield interrupt


def cut_off(faults: Iterator[Fault], subjects: list[Subject], folder: Path) -> Iterator[Cut]:
    """Interrupt each run `CUTS` times, finish it, and yield the outcome of each interruption.

    Args:
        faults: Functions that interrupt a run.
        subjects: The runs, taken in turn.
        folder: Folder to run in.
    """
    for i, subject in enumerate(cycle(subjects)):
        place = folder / f"run{i}"
        cuts = [next(faults)(subject, place) for _ in range(CUTS)]
        wrong = subject.finish(place)
        if wrong and not any(cut.interrupted for cut in cuts):
            yield Cut(False, handled=False, faults=wrong)
        for cut in cuts:
            if cut.interrupted:
                yield Cut(True, cut.handled and not wrong, cut.seconds, [*cut.faults, *wrong])
