"""Defaults of the user's classes: the direction of a metric follows from its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.cli import main
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
SMALL = ["--config", PROJECT / "configs/mnist_logistic.yaml", "--data.val_size=50",
         "--data.batch_size=50", "--trainer.max_epochs=2", "--model.scheduler=null"]  # fmt: skip
FOLDER = Path("lightning_logs/mnist_logistic/version_0")
STOP = "--trainer.callbacks+=lightning.pytorch.callbacks."
PLATEAU = ["--model.scheduler=lightning.pytorch.cli.ReduceLROnPlateau",
           "--model.scheduler_interval=epoch"]  # fmt: skip


def callback(config: dict[str, Any]) -> dict[str, Any]:
    return config["trainer"]["callbacks"][0]["init_args"]


def scheduler(config: dict[str, Any]) -> dict[str, Any]:
    return config["model"]["init_args"]["scheduler"]["init_args"]


@pytest.mark.parametrize(
    ("words", "of", "mode"),
    [
        ([f"{STOP}EarlyStopping", "--trainer.callbacks.monitor=val/acc"], callback, "max"),
        ([f"{STOP}EarlyStopping", "--trainer.callbacks.monitor=val/loss"], callback, "min"),
        ([f"{STOP}ModelCheckpoint", "--trainer.callbacks.monitor=train/acc"], callback, "max"),
        ([*PLATEAU, "--model.scheduler.monitor=val/acc"], scheduler, "max"),
        ([*PLATEAU, "--model.scheduler.monitor=val/loss"], scheduler, "min"),
    ],
)
def test_the_direction_follows_from_the_name(
    words: list[str], of: Callable[[Any], dict[str, Any]], mode: str, run: Run
) -> None:
    run("fit", *SMALL, *words)
    assert of(yaml.safe_load((FOLDER / "config.yaml").read_text()))["mode"] == mode


def test_early_stopping_does_not_stop_while_the_accuracy_rises(run: Run) -> None:
    stop = [f"{STOP}EarlyStopping", "--trainer.callbacks.monitor=val/acc",
            "--trainer.callbacks.patience=1", "--trainer.callbacks.min_delta=-1"]  # fmt: skip
    results = run("fit", *SMALL, *stop, "--trainer.max_epochs=4")  # any value counts as better
    assert (results["ended_by"], results["epochs"]) == (None, 4)


@pytest.mark.parametrize("kind", ["EarlyStopping", "ModelCheckpoint"])
def test_a_contradicting_mode_is_refused(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        f"{STOP}{kind}",
        "--trainer.callbacks.monitor=val/loss",
        "--trainer.callbacks.mode=max",
    ]
    with pytest.raises(SystemExit) as stop:
        main(["fit", *map(str, SMALL), *words])
    assert stop.value.code == 1
    assert "mode max for the metric val/loss" in capsys.readouterr().err
