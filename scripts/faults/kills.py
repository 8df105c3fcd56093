"""Real runs, cut off by kill -9 or a signal and gone on with, beside the same runs left alone."""

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
from src.command.config_files import CONFIGS

SHORT = ["--trainer.max_epochs=2", "--trainer.limit_train_batches=100", "--seed_everything=3",
         "--trainer.enable_progress_bar=false", "--data.source=mnist"]  # fmt: skip
COSINE = ["--model.scheduler=CosineAnnealingLR", "--model.scheduler.T_max=200",
          "--model.scheduler_interval=step"]  # fmt: skip
RUNS = {  # with OneCycle, momentum, cosine, dropout, augmentation
    "mnist_logistic": [],
    "mnist_sigmoid_mlp": [],
    "mnist_relu_mlp": COSINE,
    "mnist_mlp": [],
    "mnist_lenet": ["--config", str(CONFIGS / "with/augment.yaml")],
}
SECONDS = 0.1  # between two checkpoints, so that a run of seconds has some
CUTS = 3  # of each run
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
POINTS = ["as it is opened", "half written", "before it is flushed", "before it is renamed",
          "after it is renamed", "after the folder is flushed"]  # fmt: skip


class Subject:
    """A shipped config, cut to seconds, and what it leaves when nothing happens to it."""

    def __init__(self, config: str, folder: Path) -> None:
        self.words = ["fit", "--config", str(CONFIGS / f"{config}.yaml"), *RUNS[config], *SHORT]
        self.runs = Path("lightning_logs", config)
        began = time.monotonic()
        if wait(self.start(folder)):
            raise RuntimeError((folder / "log.txt").read_text())
        self.seconds = time.monotonic() - began
        self.expected = left(folder / self.runs / "version_0")

    def start(self, folder: Path, plant: Callable[[], None] | None = None) -> int:
        """Start the run in a folder, or go on with the one there, and return the process."""
        return start(folder, [*self.words, "--resume=latest"], SECONDS, plant)

    def spoilt(self, folder: Path) -> list[str]:
        """Finish the run, and return in what it differs from the one that was left alone."""
        if code := wait(self.start(folder)):
            return [f"exit code {code}: {(folder / 'log.txt').read_text()[-500:]}"]
        # One that was killed before it had a config stands empty beside it.
        [run] = [path.parent for path in (folder / self.runs).glob("*/results.json")]
        litter = [
            path.name for path in run.rglob("*") if path.suffix == ".part" or path.name == ".lock"
        ]
        return [*litter, *differences(left(run), self.expected)]


@dataclass
class Cut:
    """One cut and its end."""

    struck: bool  # the run was still there
    held: bool = True
    seconds: float = 0.0  # until it had ended
    faults: list[str] = field(default_factory=list)


Fault = Callable[[Subject, Path], Cut]


def killed(random: Random) -> Iterator[Fault]:
    """Yield kills at random moments."""

    def strike(subject: Subject, folder: Path) -> Cut:
        process = subject.start(folder)
        time.sleep(random.uniform(0, subject.seconds))
        kill(process)
        return Cut(wait(process) == -signal.SIGKILL)

    while True:
        yield strike


def killed_writing(random: Random) -> Iterator[Fault]:
    """Yield kills at each point of the writing of a file in turn: checkpoint, config or results."""
    for point in cycle(POINTS):

        def strike(subject: Subject, folder: Path, point: str = point) -> Cut:
            skip = random.randrange(6)
            process = subject.start(folder, lambda: plant(point, skip))
            return Cut(wait(process) == -signal.SIGKILL)

        yield strike


def plant(point: str, skip: int) -> None:
    """Let this process kill itself when a file is written, after so many that are spared."""
    place, spared = POINTS.index(point), skip

    def die() -> None:
        nonlocal spared
        spared -= 1
        if spared < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def opened(path: Path, *args: Any, **kwargs: Any) -> Any:
        if place == 0 and path.suffix == ".part":
            die()
        return open_file(path, *args, **kwargs)

    def flushed(descriptor: int) -> None:
        is_file = os.path.isfile(f"/proc/self/fd/{descriptor}")  # noqa: PTH113
        if place == 1 and is_file and spared == 0:
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

        def strike(subject: Subject, folder: Path, number: signal.Signals = number) -> Cut:
            process = subject.start(folder)
            time.sleep(random.uniform(0, subject.seconds))
            is_over = any("test/loss" in path.read_text() for path in folder.rglob("results.json"))
            kill(process, number)
            began = time.monotonic()
            code = wait(process)
            seconds = time.monotonic() - began
            # A process that has only just begun is ended by the signal itself.
            right = code in (128 + number, -number) or (code == 0 and is_over)
            said = [] if right else [f"{number.name}: exit code {code}"]
            return Cut(code != 0 or not is_over, right, seconds, said)

        yield strike


def cut_off(faults: Iterator[Fault], subjects: list[Subject], folder: Path) -> Iterator[Cut]:
    """Cut off the runs in turn, a few times each, finish them, and yield what became of each cut.

    Args:
        faults: What to do to them.
        subjects: The runs.
        folder: Where to run.
    """
    for i, subject in enumerate(cycle(subjects)):
        place = folder / f"run{i}"
        cuts = [next(faults)(subject, place) for _ in range(CUTS)]
        spoilt = subject.spoilt(place)
        if spoilt and not any(cut.struck for cut in cuts):
            yield Cut(False, held=False, faults=spoilt)
        for cut in cuts:
            if cut.struck:
                yield Cut(True, cut.held and not spoilt, cut.seconds, [*cut.faults, *spoilt])
