"""Invalid settings are refused before any data is read, and similar valid ones are accepted.

An error has at most three lines, which name the flag, its value and what to give instead.
"""

import os
from typing import Any

import pytest

from src.cli import main
from src.command.checks import check_processes
from src.data import TensorData
from src.errors import UserError
from tests.conftest import PROJECT

PLATEAU = "model.scheduler=lightning.pytorch.cli.ReduceLROnPlateau model.scheduler.monitor="
EPOCH = "model.scheduler_interval=epoch"
STOP = "trainer.callbacks+=EarlyStopping trainer.callbacks.monitor="
CASES = [  # config, refused settings, text in the error, similar settings that are accepted
    ("mnist_mlp", "trainer.max_epochs=0", "max_epochs 0 trains nothing", ["trainer.max_epochs=1"]),
    ("mnist_mlp", "trainer.max_epochs=-2", "passed in -2", []),
    ("mnist_mlp", "trainer.max_epochs=-1", "OneCycleLR needs the length",
     ["trainer.max_epochs=-1 trainer.max_steps=9",
      "trainer.max_epochs=-1 model.scheduler=null",
      "trainer.max_epochs=-1 model.scheduler.total_steps=9"]),
    ("mnist_mlp", "trainer.max_steps=0", "max_steps 0 trains nothing", ["trainer.max_steps=1"]),
    ("mnist_mlp", "trainer.limit_train_batches=0", "trains nothing",
     ["trainer.limit_train_batches=1"]),
    ("mnist_mlp", "trainer.limit_train_batches=1.5", "1.5 for limit_train_batches", []),
    ("mnist_mlp", "trainer.limit_val_batches=0", "turns validation off",
     ["trainer.limit_val_batches=0 checkpoint.monitor=train/loss",
      "trainer.limit_val_batches=0 checkpoint.monitor=null"]),
    ("mnist_mlp", "trainer.devices=0", "devices", ["trainer.devices=1"]),
    ("mnist_mlp", "trainer.devices=abc", "devices", []),
    ("mnist_mlp", "trainer.devices=1000000000", "up to 4", []),
    ("mnist_mlp", "trainer.devices=5", "5 is more than the 4 processes", []),
    ("mnist_mlp", "trainer.accumulate_grad_batches=0", "at least 1",
     ["trainer.accumulate_grad_batches=1"]),
    ("mnist_mlp", "trainer.gradient_clip_val=-1", "at least 0", ["trainer.gradient_clip_val=0.5"]),
    ("mnist_mlp", "trainer.log_every_n_steps=-1", "at least 0", ["trainer.log_every_n_steps=0"]),
    ("mnist_mlp", "trainer.num_sanity_val_steps=-2", "at least 0",
     ["trainer.num_sanity_val_steps=-1"]),
    ("mnist_mlp", "trainer.val_check_interval=0", "val_check_interval 0",
     ["trainer.val_check_interval=0.5"]),
    ("mnist_mlp", "trainer.check_val_every_n_epoch=0", "at least 1",
     ["trainer.check_val_every_n_epoch=16"]),
    ("mnist_mlp", "trainer.gradient_clip_algorithm=abc", "abc",
     ["trainer.gradient_clip_algorithm=norm"]),
    ("mnist_mlp", "trainer.strategy=abc", "strategy='abc'", ["trainer.strategy=auto"]),
    ("mnist_mlp", "checkpoint.save_top_k=0", "save_top_k 0", ["checkpoint.save_top_k=1"]),
    ("mnist_mlp", "checkpoint.save_top_k=-2", "save_top_k=-2", ["checkpoint.save_top_k=-1"]),
    ("mnist_mlp", "checkpoint.every_n_epochs=-1", "every_n_epochs",
     ["checkpoint.every_n_epochs=0", "checkpoint.every_n_epochs=16"]),
    ("mnist_mlp", "checkpoint.monitor=val/accuracy", "mean val/acc",
     ["checkpoint.monitor=val/loss"]),
    ("mnist_mlp", "checkpoint.monitor=val/mse", "val/mse is never logged",
     ["checkpoint.monitor=epoch"]),
    ("line", "checkpoint.monitor=val/acc", "mean val/mse", ["checkpoint.monitor=val/mse"]),
    ("mnist_mlp", f"{STOP}val/lss", "mean val/loss", [f"{STOP}val/loss", f"{STOP}train/loss"]),
    ("mnist_mlp", f"{STOP}val/loss trainer.limit_val_batches=0 checkpoint.monitor=null",
     "EarlyStopping val/loss", []),
    ("mnist_mlp", f"{PLATEAU}val/lss {EPOCH}", "scheduler.monitor val/lss",
     [f"{PLATEAU}val/loss {EPOCH}"]),
    ("mnist_mlp", f"{PLATEAU}val/loss", "scheduler_interval epoch", []),
    ("mnist_mlp", f"{PLATEAU}val/loss {EPOCH} trainer.limit_val_batches=0 checkpoint.monitor=null",
     "turns validation off", []),
    ("mnist_mlp", "model.scheduler=StepLR model.scheduler.step_size=0", "StepLR",
     ["model.scheduler=StepLR model.scheduler.step_size=1"]),
    ("mnist_mlp", "model.scheduler.max_lr=-1", "'max_lr': -1.0", ["model.scheduler.max_lr=1"]),
    ("mnist_mlp", "model.scheduler.pct_start=2", "pct_start, but got 2.0",
     ["model.scheduler.pct_start=1"]),
    ("mnist_mlp", "model.scheduler.div_factor=0", "'div_factor': 0.0",
     ["model.scheduler.div_factor=1"]),
    ("mnist_mlp", "model.optimizer.lr=-1", "learning rate: -1.0", ["model.optimizer.lr=0"]),
    ("mnist_mlp", "model.optimizer.betas=[1,2]", "beta parameter at index 0: 1.0", []),
    ("line", "data.low=4", "low 4.0 must be less than", ["data.low=3.9"]),
    ("line", "data.slope=[]", "slope []", ["data.slope=[1]"]),
    ("line", "model=LogisticRegression", "cross_entropy",
     ["model=LogisticRegression model.loss=mse"]),
    ("line", "model=LeNet", "16x16", ["model=ReLUMLP model.loss=mse"]),
]  # fmt: skip
ACCEPTED = [(config, words) for config, _, _, good in CASES for words in good]


class DataRead(Exception):
    """Raised when the command reads data: all checks have passed."""


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Any, stage: str = "") -> None:
        raise DataRead

    monkeypatch.setattr(TensorData, "prepare_data", read)
    monkeypatch.setattr(TensorData, "setup", read)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def command(config: str, words: str) -> list[str]:
    return ["fit", "--config", str(PROJECT / f"configs/{config}.yaml"), "--trainer.accelerator=cpu",
            *(f"--{word}" for word in words.split())]  # fmt: skip


@pytest.mark.parametrize(("config", "words", "message"), [case[:3] for case in CASES])
def test_invalid_settings_are_refused(
    config: str, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(command(config, words))
    assert stop.value.code == 1
    text = capsys.readouterr().err.strip()
    assert text.startswith("error: ")
    assert len(text.splitlines()) <= 3
    assert message in text


@pytest.mark.parametrize(("config", "words"), ACCEPTED)
def test_similar_valid_settings_are_accepted(config: str, words: str) -> None:
    with pytest.raises(DataRead):
        main(command(config, words))


def test_four_processes_are_accepted_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    for devices in ("auto", "2", 2, [0, 1], -1):
        check_processes(devices)
    with pytest.raises(UserError, match="5 is more than the 4 processes"):
        check_processes("5")


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        ("model.optimizer.lr=0.1", "model.optimizer.lr has no effect, since OneCycleLR sets it."),
        ("model.optimizer.lr=0.1", "Use model.scheduler.max_lr."),
        ("model.optimizer=SGD model.optimizer.momentum=0.5", ""),  # cycle_momentum: false
        ("model.optimizer=SGD model.optimizer.momentum=0.5 model.scheduler.cycle_momentum=true",
         "model.optimizer.momentum has no effect"),
        ("model.optimizer.lr=0.1 model.scheduler=null", ""),
        ("model.optimizer.weight_decay=0.1", ""),
    ],
)  # fmt: skip
def test_a_setting_that_the_scheduler_replaces_is_warned_of(
    words: str, warned: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataRead):
        main(command("mnist_mlp", words))
    printed = capsys.readouterr().err
    assert warned in printed
    assert ("no effect" in printed) == bool(warned)
