"""What a run prints while it trains."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import TQDMProgressBar

from src.callbacks.best_checkpoint import BestCheckpoint
from src.callbacks.progress import EpochBar, EpochLines, LayerTable, screen_callbacks
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
LINE = ("fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=6")


def test_an_epoch_without_validation_shows_no_metric_of_an_earlier_one(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*LINE, "--trainer.check_val_every_n_epoch=3")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert ["val/mse" in line for line in lines] == [False, False, True] * 2


def test_the_bar_counts_epochs_from_1_like_the_lines(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    run(*LINE, "--trainer.check_val_every_n_epoch=1")
    captured = capsys.readouterr()
    printed = captured.out + captured.err
    assert "epoch 1/6: " in printed
    assert "epoch 6/6: " in printed


def test_redirected_output_has_one_line_per_epoch(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=20")
    printed = capsys.readouterr().out
    assert "\r" not in printed
    lines = [line for line in printed.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 20
    assert lines[0].startswith("epoch 1/20, train/loss ")
    assert [line.endswith(" left") for line in lines] == [True] * 19 + [False]
    assert "FLOPs" not in printed
    assert len(printed) < 5000


NARROW = {"val/acc": 0.9, "best": 0.95}


@pytest.mark.parametrize(
    ("columns", "shown"),
    [(60, NARROW), (80, NARROW), (120, {**NARROW, "train/loss": 0.1, "val/loss": 0.2})],
)
def test_a_narrow_bar_shows_one_metric_and_its_best(
    columns: int, shown: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = BestCheckpoint(monitor="val/acc", mode="max")
    saver.best_model_score = torch.tensor(0.95)
    trainer = SimpleNamespace(checkpoint_callback=saver, callback_metrics={"val/acc": 0.9})
    logged = {"v_num": "n_0", "train/loss": 0.1, "val/acc": 0.9, "val/loss": 0.2}
    monkeypatch.setattr(TQDMProgressBar, "get_metrics", lambda *_: dict(logged))
    monkeypatch.setenv("COLUMNS", str(columns))
    metrics = EpochBar("val/acc").get_metrics(trainer, SimpleNamespace())
    assert metrics == pytest.approx(shown)


def test_a_terminal_gets_a_progress_bar_and_a_file_gets_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = SimpleNamespace(callbacks=[], enable_progress_bar=None, enable_model_summary=None)
    assert [type(one) for one in screen_callbacks(settings, None)] == [EpochLines, LayerTable]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert [type(one) for one in screen_callbacks(settings, None)] == [EpochBar, LayerTable]
