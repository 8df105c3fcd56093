"""Two hosts started by torchrun train as one process does, stop together, and resume."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.cli import main
from src.runs.curves import read_curves
from tests.conftest import PROJECT, toy_images, write_idx
from tests.training.hosts import (
    Host,
    Process,
    cabled,
    cut,
    ended,
    free_port,
    launcher,
    namespaces_missing,
)

pytestmark = pytest.mark.slow
FIT = ["fit", "--config", str(PROJECT / "configs/mnist_lenet.yaml"), "--trainer.accelerator=cpu",
       "--data.val_size=50", "--data.verify=false", "--trainer.log_every_n_steps=1",
       "--trainer.enable_progress_bar=false"]  # fmt: skip
TWO = ["--trainer.num_nodes=2", "--trainer.devices=1"]
LONG = ["--trainer.max_epochs=60", "--data.batch_size=5"]
RUNS = Path("lightning_logs/mnist_lenet")
Start = Callable[..., list[Process]]


@pytest.fixture(params=["one host", "two namespaces"])
def start(request: pytest.FixtureRequest, data_root: Path) -> Iterator[Start]:
    """Return a function that starts a command on two hosts; each has a data folder of its own."""
    folders = [shutil.copytree(data_root, f"data{rank}") for rank in (0, 1)]
    if request.param == "one host":
        yield from starting([Host(), Host()], folders)
    elif reason := namespaces_missing():
        pytest.skip(reason)
    else:
        with cabled() as hosts:
            yield from starting(hosts, folders)


def starting(hosts: list[Host], folders: list[Path]) -> Iterator[Start]:
    with launcher(hosts) as launch:

        def command(*words: str) -> list[Process]:
            port = free_port()
            return [launch(rank, port, [*words], DATA_DIR=str(folders[rank])) for rank in (0, 1)]

        yield command


def log(rank: int) -> str:
    return Path(f"host{rank}.log").read_text()


def left(version: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the metrics and the curves of a run."""
    folder = RUNS / f"version_{version}"
    metrics = json.loads((folder / "results.json").read_text())["metrics"]
    return metrics, read_curves((folder / "curves.csv").read_text())


def assert_equal(version: int, other: int) -> None:
    (metrics, curves), (expected, wanted) = left(version), left(other)
    assert metrics == pytest.approx(expected, rel=1e-4)
    assert curves.keys() == wanted.keys()
    for name in curves:
        np.testing.assert_allclose(curves[name], wanted[name], rtol=1e-4, err_msg=name)


def test_two_hosts_train_as_one_process_with_twice_the_batch(start: Start, data_root: Path) -> None:
    assert ended(start(*FIT, *TWO, "--data.batch_size=10", "--trainer.max_epochs=3")) == [0, 0]
    main([*FIT, "--data.batch_size=20", "--trainer.max_epochs=3", f"--data.root={data_root}"])
    assert_equal(0, 1)
    assert [path.name for path in RUNS.iterdir()] == ["version_0", "version_1"]
    assert "LeNet on MNIST" in log(0) + log(1)


def test_hosts_with_different_data_are_refused(start: Start) -> None:
    images, _ = toy_images(300, seed=3)
    write_idx(Path("data1/MNIST/raw/train-images-idx3-ubyte"), images)
    assert ended(start(*FIT, *TWO)) == [1, 1]
    assert "differs from process 0, on" in log(0)
    assert "contents of the data is" in log(1)
    assert not list(RUNS.glob("version_*"))


def wait_for_checkpoint(folder: Path) -> None:
    """Wait for a checkpoint after the first step."""
    until = time.monotonic() + 60
    while len(list(folder.glob("checkpoints/resume-*.ckpt"))) < 2:
        assert time.monotonic() < until, log(0) + log(1)
        time.sleep(0.05)


def test_the_other_host_ends_when_one_is_killed_and_both_resume(start: Start) -> None:
    assert ended(start(*FIT, *TWO, *LONG)) == [0, 0]
    both = start(*FIT, *TWO, *LONG)
    wait_for_checkpoint(RUNS / "version_1")
    cut(both[1])
    assert ended(both[:1], seconds=60) == [1]
    assert ended(start(*FIT, *TWO, *LONG, "--resume", str(RUNS / "version_1"))) == [0, 0]
    assert_equal(1, 0)


def test_sigterm_to_one_torchrun_stops_both_with_a_checkpoint(start: Start) -> None:
    both = start(*FIT, *TWO, *LONG)
    wait_for_checkpoint(RUNS / "version_0")
    both[1].send_signal(signal.SIGTERM)
    ended(both, seconds=60)
    assert "Stopped by SIGTERM after step" in log(0) + log(1)
    assert ended(start(*FIT, *TWO, *LONG, "--resume=latest")) == [0, 0]
    assert ended(start(*FIT, *TWO, *LONG, "--resume=latest")) == [0, 0]
    assert "version_0 is finished" in log(0) + log(1)


def test_settings_for_another_number_of_processes_are_refused(start: Start) -> None:
    assert ended(start(*FIT)) == [1, 1]
    assert "make 1 processes, but torchrun has started 2" in log(0)
