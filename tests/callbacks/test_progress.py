"""What a run prints while it trains."""

from collections.abc import Callable
from typing import Any

import pytest

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
