"""NaN and infinity stop a run before the step, and reach no checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from src.callbacks.finite_guard import LARGE, all_finite
from src.checkpoints import read_checkpoint
from tests.conftest import PROJECT

CONFIG = str(PROJECT / "configs/mnist_relu_mlp.yaml")
FIT = ["fit", "--config", CONFIG, "--data.val_size=50", "--data.batch_size=50",
       "--trainer.max_epochs=2", "--trainer.enable_progress_bar=false"]  # fmt: skip
WRONG = [float("nan"), float("inf"), float("-inf")]
Run = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("size", [1, 7, LARGE - 1, LARGE, LARGE + 9])
def test_one_value_is_found_wherever_it_is(wrong: float, size: int) -> None:
    one = torch.ones(())
    tensors = [torch.randn(3), torch.randn(size), torch.zeros(LARGE)]
    assert all_finite(tensors, one)
    for place in {0, size // 2, size - 1}:
        values = tensors[1].clone()
        values[place] = wrong
        assert not all_finite([tensors[0], values, tensors[2]], one)


def test_tensors_are_left_as_they_are() -> None:
    tensors = [torch.randn(5), torch.randn(LARGE)]
    copies = [tensor.clone() for tensor in tensors]
    all_finite(tensors, torch.ones(()))
    assert all(torch.equal(*pair) for pair in zip(tensors, copies, strict=True))


class Plant(Callback):
    """Spoils the loss, or a gradient, or a weight's gradient alone, in step 7."""

    def __init__(self, where: str, value: str) -> None:
        self.where, self.value = where, float(value)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step != 7:
            return
        parameter = next(pl_module.parameters())
        if self.where == "loss":
            compute = pl_module.loss
            vars(pl_module)["loss"] = lambda output, y: compute(output, y) * self.value
        else:
            parameter.register_hook(self._spoil)

    def _spoil(self, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient.view(-1)[3] = self.value
        return gradient


@pytest.mark.parametrize("value", WRONG[:2])
@pytest.mark.parametrize(("where", "what"), [("loss", "the loss"), ("gradient", "a gradient")])
@pytest.mark.parametrize("way", [[], ["--trainer.gradient_clip_val=1"]], ids=["plain", "clipped"])
def test_the_run_stops_before_the_step(
    way: list[str], where: str, what: str, value: float, run: Run,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("src.callbacks.resume_points.SECONDS", 0.0)
    monkeypatch.setattr("src.callbacks.resume_points.SHARE", 0)
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    plant = ["--trainer.callbacks+=tests.callbacks.test_finite_guard.Plant"]
    plant += [f"--trainer.callbacks.where={where}", f"--trainer.callbacks.value={value}"]
    with pytest.raises(SystemExit) as stop:
        run(*FIT, *way, *plant)
    said = capsys.readouterr().err
    assert stop.value.code == 1
    assert f"{what} is not finite" in said
    assert "step 7, epoch 1, batch 2, lr 0.001" in said
    paths = sorted(Path("lightning_logs").rglob("*.ckpt"))
    assert paths[-1].name == "resume-step00000007.ckpt"
    for path in paths:
        read_checkpoint(path)  # which refuses weights that are not finite


def test_a_learning_rate_too_high_ends_with_a_hint(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run("fit", "--config", str(PROJECT / "configs/line.yaml"), "--model.optimizer.lr=1e12")
    said = capsys.readouterr().err
    assert stop.value.code == 1
    assert "is not finite" in said
    assert "Lower --model.optimizer.lr" in said
