"""The table at the end of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.runs.summary import wrapped
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]


def test_a_path_is_broken_after_slashes_only() -> None:
    path = "lightning_logs/mnist_lenet/version_0/checkpoints/best-epoch03.ckpt"
    lines = wrapped(path, 30).split("\n")
    assert "".join(lines) == path
    assert len(lines) > 2
    assert all(line.endswith("/") and len(line) <= 30 for line in lines[:-1])
    assert wrapped("5,000 val, 10 test\nx", 100) == "5,000 val, 10 test\nx"


def test_the_summary_shows_how_many_images_were_tested(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(PROJECT / "configs/mnist_logistic.yaml"), "--data.val_size=50"]
    run("fit", *words, "--trainer.max_epochs=1", "--trainer.limit_test_batches=1",
        "--data.batch_size=50")  # fmt: skip
    out = capsys.readouterr().out
    assert "250 train, 50 val, 50 of 130 test" in out
    folder = Path("lightning_logs/mnist_logistic/version_0")
    run("validate", "--run", str(folder), "--trainer.limit_val_batches=1")
    assert "50 val, 130 test" in capsys.readouterr().out
    assert (folder / "validate/results.json").is_file()
