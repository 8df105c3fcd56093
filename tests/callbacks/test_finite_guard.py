"""NaN and infinite values stop a run and are in no checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from src.runs.checkpoint_io import read_checkpoint
from tests.conftest import PROJECT

CONFIG = str(PROJECT / "configs/mnist_relu_mlp.yaml")
FIT = ["fit", "--config", CONFIG, "--data.val_size=50", "--data.batch_size=50",
       "--trainer.max_epochs=2", "--trainer.enable_progress_bar=false"]  # fmt: skip
Run = Callable[..., dict[str, Any]]

WEIGHT = "The weight net.1.weight is not finite, after a gradient that was not finite,"


class InsertValue(Callback):
    """Makes the loss or a gradient NaN or infinite in one step."""

    def __init__(self, where: str, value: str, step: int) -> None:
        self.where, self.value, self.step = where, float(value), step

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step != self.step:
            return
        if self.where == "loss":
            compute = pl_module.loss
            vars(pl_module)["loss"] = lambda output, y: compute(output, y) * self.value
        else:
            next(pl_module.parameters()).register_hook(self._change)

    def _change(self, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient.view(-1)[3] = self.value
        return gradient


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize(("where", "step", "error", "last"), [
    ("loss", 7, "The loss is not finite ({value}) at step 7, epoch 1, lr 0.001", 7),
    ("gradient", 6, f"{WEIGHT} at step 7", 6),
    ("gradient", 9, f"{WEIGHT} at step 10", 9),
])  # fmt: skip
@pytest.mark.parametrize("clip", [[], ["--trainer.gradient_clip_val=1"]], ids=["plain", "clipped"])
def test_the_run_stops_and_all_checkpoints_are_finite(
    clip: list[str], where: str, step: int, error: str, last: int, value: str, run: Run,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """There are two epochs of five steps. After step 9, the last one, no loss is computed."""
    monkeypatch.setattr("src.callbacks.resume_points.SECONDS", 0.0)
    monkeypatch.setattr("src.callbacks.resume_points.SHARE", 0)
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    callback = ["--trainer.callbacks+=tests.callbacks.test_finite_guard.InsertValue",
             f"--trainer.callbacks.where={where}", f"--trainer.callbacks.value={value}",
             f"--trainer.callbacks.step={step}"]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        run(*FIT, *clip, *callback)
    assert stop.value.code == 1
    assert error.format(value=value) in capsys.readouterr().err
    paths = sorted(Path("lightning_logs").rglob("*.ckpt"))
    assert paths[-1].name == f"resume-step{last:08d}.ckpt"
    for path in paths:
        read_checkpoint(path)  # raises if weights are not finite


def test_weights_are_checked_without_checkpoints_and_validation(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    with pytest.raises(SystemExit) as stop:
        run(*FIT, "--trainer.logger=false", "--trainer.enable_checkpointing=false",
            "--trainer.limit_val_batches=0", "--trainer.callbacks=[]",
            "--trainer.callbacks+=tests.callbacks.test_finite_guard.InsertValue",
            "--trainer.callbacks.where=gradient", "--trainer.callbacks.value=nan",
            "--trainer.callbacks.step=9")  # fmt: skip
    assert stop.value.code == 1
    assert "a gradient that was not" in capsys.readouterr().err


def refused(run: Run, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the error of a run that ends with code 1."""
    with pytest.raises(SystemExit) as stop:
        run(*words)
    assert stop.value.code == 1
    return capsys.readouterr().err


def test_a_learning_rate_that_is_too_high_gives_a_hint(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    line = str(PROJECT / "configs/line.yaml")
    error = refused(run, capsys, "fit", "--config", line, "--model.optimizer.lr=1e12")
    assert "is not finite" in error
    assert "Lower --model.optimizer.lr" in error


def test_sixteen_bits_that_are_too_few_are_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--model.optimizer.eps=1e-4", "--model.optimizer.lr=1e5")
    error = refused(run, capsys, *FIT, "--trainer.precision=16-true", *settings)
    assert "give --trainer.precision bf16-true or 16-mixed" in error


def test_an_epsilon_that_is_zero_in_sixteen_bits_is_refused(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is 1e-8 by default: a weight whose gradients are all 0 would become 0 / 0."""
    error = refused(run, capsys, *FIT, "--trainer.precision=16-true")
    assert "--model.optimizer.eps 1e-08 is 0 in 16 bits" in error
    run(*FIT, "--trainer.precision=16-true", "--model.optimizer.eps=1e-4")
