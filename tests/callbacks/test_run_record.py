"""Training time excludes validation, and the examples of all processes are counted."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from src.callbacks import RunRecord
from src.runs.summary import print_summary

BATCH = (None, torch.zeros(10))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Replace the clock by a value that the test sets."""
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def test_training_seconds_exclude_validation(clock: list[float]) -> None:
    trainer: Any = SimpleNamespace(
        world_size=2, state=SimpleNamespace(fn=TrainerFn.FITTING), callback_metrics={},
        sanity_checking=True, current_epoch=0, num_training_batches=1,
        datamodule=SimpleNamespace(batch_size=10),
        fit_loop=SimpleNamespace(
            epoch_loop=SimpleNamespace(
                batch_progress=SimpleNamespace(current=SimpleNamespace(ready=1))
            )
        ),
    )  # fmt: skip
    record = RunRecord([])
    record.on_fit_start(trainer, None)
    for _ in range(3):  # epochs: 4 s of training, 1 s of validation
        record.on_train_epoch_start(trainer, None)
        clock[0] += 4
        record.on_train_batch_end(trainer, None, None, BATCH, 0)
        record.on_validation_start(trainer, None)
        clock[0] += 1
        record.on_validation_end(trainer, None)
        record.on_train_epoch_end(trainer, None)
    assert record.epoch_seconds == pytest.approx([4, 4, 4])
    assert record.samples == 3 * 10 * 2


def test_the_summary_shows_the_results(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("logs/x/version_0").mkdir(parents=True)
    Path("logs/x/version_0/events.out.tfevents.1").touch()
    results = {
        "model": "LeNet", "parameters": 61706, "epochs": None, "device": "cpu", "precision": "32",
        "dataset": {"name": "MNIST", "source": "files", "sizes": {"test": 10}, "noise_floor": 0.25},
        "metrics": {"test/acc": 0.991, "train/lr": 0.1}, "tested": 10,
        "best_checkpoint": "a/b.ckpt",
    }  # fmt: skip
    print_summary(results, "logs/x/version_0", Path("logs/x/version_0/report.html"))
    printed = capsys.readouterr().out
    for words in (
        "99.10 %",
        "61,706",
        "0.25 (expected mse",
        "a/b.ckpt",
        "tensorboard --logdir logs",
        "report.html",
    ):
        assert words in printed
    assert "epochs" not in printed
    assert "train/lr" not in printed
