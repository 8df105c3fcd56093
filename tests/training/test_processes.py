"""Both processes of a run stop if one of them gets a signal or a NaN loss."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.conftest import PROJECT

pytestmark = pytest.mark.slow
FIT = ["fit", "--config", str(PROJECT / "configs/mnist_mlp.yaml"), "--trainer.devices=2",
       "--trainer.strategy=ddp", "--trainer.accelerator=cpu", "--trainer.max_epochs=40",
       "--data.val_size=50", "--data.verify=false", "--data.batch_size=5",
       "--trainer.enable_progress_bar=false"]  # fmt: skip
NAN_LOSS = "--trainer.callbacks+=tests.training.test_processes.MakeOneNaN"


class MakeOneNaN(Callback):
    """Makes the loss of the second process NaN in step 7."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 7:
            vars(pl_module)["loss"] = lambda output, y: (output * float("nan")).sum()


@pytest.fixture
def run(data_root: Path, tmp_path: Path) -> Iterator[Any]:
    """Return a function that starts a command; its process group is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def command(*words: str) -> subprocess.Popen[str]:
        settings = {"DATA_DIR": str(data_root), "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1",
                    "LINENET_ALLOW": "tests"}  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "src.cli", *words], cwd=tmp_path,
            env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield command
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait at most five minutes for a process, and return its exit code and error output."""
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors


def children(process: subprocess.Popen[str]) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in found]


def is_alive(number: int) -> bool:
    """Return whether a process is running, and not a zombie."""
    stat = Path(f"/proc/{number}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_both_stop_if_one_gets_a_nan_loss(run: Any) -> None:
    code, errors = end(run(*FIT, NAN_LOSS))
    assert code == 1
    assert "is not finite" in errors
    assert "step 7" in errors


@pytest.mark.parametrize("to", ["first", "second", "both"])
def test_both_stop_if_one_gets_a_signal_and_the_run_can_be_resumed(to: str, run: Any) -> None:
    assert end(run(*FIT))[0] == 0
    process = run(*FIT)
    folder = Path("lightning_logs/mnist_mlp/version_1")
    while not list(folder.glob("checkpoints/*.ckpt")):
        time.sleep(0.05)
    second = children(process)
    signalled = {"first": [process.pid], "second": second, "both": [process.pid, *second]}[to]
    began = time.monotonic()
    for number in signalled:
        os.kill(number, signal.SIGTERM)
    code, errors = end(process)
    assert code == 128 + signal.SIGTERM, errors
    assert time.monotonic() - began < 10
    while any(map(is_alive, second)):
        assert time.monotonic() - began < 10
        time.sleep(0.1)
    assert end(run("fit", "--resume", str(folder)))[0] == 0
    uninterrupted, resumed = (
        json.loads((folder.parent / name / "results.json").read_text())
        for name in ("version_0", "version_1")
    )
    assert resumed["steps"] == uninterrupted["steps"]
    assert resumed["metrics"] == uninterrupted["metrics"]
