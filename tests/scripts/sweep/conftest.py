"""Sweeps on the small data, whose processes are forked from the test, with its changes."""

import io
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import scripts.sweep.__main__ as tool
from scripts.many import warm
from scripts.many.warm import Task
from src.data import MNIST
from tests.conftest import PROJECT

LOGISTIC = str(PROJECT / "configs" / "mnist_logistic.yaml")
SMALL = ["--data.val_size=100", "--data.batch_size=20", "--model.scheduler=null",
         "--metric=val/loss"]  # every accuracy would be 100 %  # fmt: skip
SPACE = "model.optimizer.lr: {low: 1e-4, high: 1.0, log: true}\n"
Sweep = Callable[..., Path]


def run_logged(task: Task, threads: int) -> None:
    """Run a task as usual; pytest would keep what is printed to itself."""
    sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))
    warm.run(task, threads)


def forked(words: Sequence[str], threads: int) -> Callable[[Task], Any]:
    """Return what starts a task in a process that is forked from this one."""
    context: Any = multiprocessing.get_context("fork")

    def start(task: Task) -> Any:
        task.log.parent.mkdir(parents=True, exist_ok=True)
        process = context.Process(target=run_logged, args=(task, threads))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pytest-xdist has a thread
            process.start()
        return process

    return start


def prepare(monkeypatch: pytest.MonkeyPatch, data_root: Path) -> None:
    """Let sweeps use the small data, and processes forked from this one."""
    monkeypatch.setenv("DATA_DIR", str(data_root))
    monkeypatch.setattr("scripts.sweep.__main__.warm_up", lambda words: None)
    monkeypatch.setattr("scripts.sweep.course.starter", forked)
    monkeypatch.setattr("scripts.many.warm.starter", forked)


def run_sweep(*words: str, space: str = SPACE, code: int = 0) -> Path:
    """Run a sweep, and return its folder, the newest."""
    Path("space.yaml").write_text(space)
    with pytest.raises(SystemExit) as stopped:
        tool.main(["--config", LOGISTIC, "--space", "space.yaml", *SMALL, *words])
    assert stopped.value.code == code
    return max(Path("lightning_logs/sweeps").glob("version_*"))


@pytest.fixture
def sweep(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Return a function that runs a sweep without pictures, and returns its folder.

    The sweep fails if it reads the test set.
    """
    prepare(monkeypatch, data_root)
    monkeypatch.setattr(MNIST, "test_dataloader", None)
    monkeypatch.setattr("scripts.sweep.course.pictures", lambda *_: {})
    return run_sweep


@dataclass
class Done:
    """A finished sweep: its folder, and what it printed."""

    folder: Path
    text: str


@pytest.fixture(scope="module")
def done(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A sweep of four trials over two epochs, whose best settings are trained again."""
    place, told = tmp_path_factory.mktemp("sweep"), io.StringIO()
    words = ["--trials=4", "--trainer.max_epochs=2", "--pruner=none", "--refit=2"]
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(told):
        prepare(monkeypatch, data_root)
        monkeypatch.chdir(place)
        monkeypatch.setattr(MNIST, "_published", lambda self, path: None)  # no md5 sums
        folder = run_sweep(*words)
    return Done(place / folder, told.getvalue())
