"""Resuming a finished run: it is trained longer, or the command is refused with both values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.utilities import rank_zero_only

from scripts.faults.runs import differences, left
from src.cli import main
from src.runs.finished import reached
from src.runs.settings import Change, changes
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
SMALL = ["--config", PROJECT / "configs/mnist_relu_mlp.yaml", "--data.val_size=50",
         "--data.batch_size=50", "--trainer.log_every_n_steps=2"]  # fmt: skip
FOLDER = Path("lightning_logs/mnist_relu_mlp/version_0")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--resume", str(FOLDER), *words])
    assert stop.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--model.optimizer.lr=0.5", "--model.optimizer.lr 0.1, now 0.5"),
        ("--seed_everything=3", "--seed_everything 0, now 3"),
        ("--data.batch_size=25", "--data.batch_size 50, now 25"),
        ("--trainer.max_epochs=1", "--trainer.max_epochs 1 is reached (--trainer.max_epochs 2"),
        (
            "--trainer.max_steps=4",
            "--trainer.max_epochs 2 is reached (--trainer.max_steps -1, now 4)",
        ),
        ("--trainer.max_time=00:01:00:00", "--trainer.max_epochs 2 is reached (--trainer.max_time"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_with_both_values(
    word: str, told: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", *SMALL, "--model.optimizer.lr=0.1", "--trainer.max_epochs=2")
    before = left(FOLDER)
    assert told in refused(capsys, word)
    assert list(differences(left(FOLDER), before)) == []


def test_every_process_ends_if_the_run_is_finished(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the others would wait for the first one, which has started none of them."""
    run("fit", *SMALL, "--trainer.max_epochs=1")
    capsys.readouterr()
    for rank in (0, 1):
        monkeypatch.setattr(rank_zero_only, "rank", rank)
        with pytest.raises(SystemExit) as stop:
            main(["fit", "--resume", str(FOLDER)])
        assert stop.value.code == 0
        assert ("is finished" in capsys.readouterr().out) == (rank == 0)


def test_more_steps_after_an_end_within_an_epoch_equal_a_longer_run(run: Run) -> None:
    endless = [*SMALL, "--trainer.max_epochs=-1"]
    run("fit", *endless, "--trainer.max_steps=13")
    run("fit", *endless, "--trainer.max_steps=7")
    shorter = FOLDER.with_name("version_1")
    run("fit", "--resume", shorter, "--trainer.max_steps=13")
    assert list(differences(left(shorter), left(FOLDER))) == []


def test_a_run_ended_by_early_stopping_is_not_trained_longer(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = ["--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping",
            "--trainer.callbacks.monitor=val/loss", "--trainer.callbacks.min_delta=1e9",
            "--trainer.callbacks.patience=1", "--trainer.max_epochs=6"]  # fmt: skip
    assert run("fit", *SMALL, *stop)["ended_by"] == "EarlyStopping"
    assert "EarlyStopping has ended it after 2 epochs" in refused(capsys, "--trainer.max_epochs=9")
    with pytest.raises(SystemExit):
        main(["fit", "--resume", str(FOLDER)])
    assert "EarlyStopping has ended it: to train longer, start a new" in capsys.readouterr().out
    patience = "--trainer.callbacks.0.patience 1, now 5"
    assert patience in refused(capsys, "--trainer.callbacks.patience=5")


@pytest.mark.slow
def test_a_run_ended_by_its_time_is_trained_longer_with_more_time(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = ["--trainer.max_epochs=-1", "--trainer.max_time=00:00:00:01"]
    first = run("fit", *SMALL, *endless)
    assert first["ended_by"] == "max_time"
    assert "00:00:00:01 has passed" in refused(capsys, "--trainer.max_epochs=100000")
    longer = run("fit", "--resume", FOLDER, "--trainer.max_time=00:00:00:04")
    assert longer["steps"] > first["steps"]


def test_a_limit_that_is_not_reached_is_no_reason() -> None:
    results = {"epochs": 3, "steps": 15, "ended_by": None}
    trainer = {"max_epochs": 4, "max_steps": -1, "max_time": None}
    assert reached(results, trainer, ["trainer.max_epochs"]) is None


def test_changes_are_found_in_lists_and_classes() -> None:
    then = {"callbacks": [{"class_path": "Stop", "init_args": {"patience": 1}}], "seed": 0}
    now = {"callbacks": [{"class_path": "Stop", "init_args": {"patience": 2}}], "seed": 0, "new": 5}
    assert [*changes(then, now)] == [Change("callbacks.0.patience", 1, 2), Change("new", None, 5)]


def test_a_run_without_a_test_is_finished_with_the_validation_of_its_checkpoint(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    rising = ["--model.optimizer.lr=3", "--trainer.limit_test_batches=0"]  # later epochs are worse
    results = run("fit", *SMALL, *rising, "--trainer.max_epochs=4")
    assert results["finished"]
    assert not any(name.startswith("test/") for name in results["metrics"])
    chosen = run("validate", "--run", FOLDER)
    assert chosen["best_checkpoint"] == results["best_checkpoint"]
    for name in ("val/acc", "val/loss"):
        assert results["metrics"][name] == pytest.approx(chosen["metrics"][name], rel=1e-6)
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--resume", str(FOLDER)])
    assert stop.value.code == 0
    assert "is finished" in capsys.readouterr().out
