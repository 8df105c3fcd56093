"""Gradient norms and shares of dead and saturated units equal separate calculations."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers.logger import DummyLogger
from torch import nn

from src.callbacks import LayerHealth
from src.callbacks.layer_health import dead, measured, saturated
from src.data import MNIST
from src.models import ReLUMLP, SigmoidMLP
from src.runs.curves import read_curves
from tests.conftest import PROJECT


class Recorder(DummyLogger):
    """A logger that keeps all points of each metric."""

    def __init__(self) -> None:
        super().__init__()
        self.points: dict[str, list[tuple[int, float]]] = {}

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        for name, value in metrics.items():
            self.points.setdefault(name, []).append((step, value))


def test_dead_units_are_never_above_zero() -> None:
    output = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    assert dead(output).tolist() == [True, False, False]
    maps = torch.zeros(4, 3, 5, 5)
    maps[2, 1, 4, 0] = 0.1
    assert dead(maps).tolist() == [True, False, True]


@pytest.mark.parametrize(("low", "function"), [(0.0, torch.sigmoid), (-1.0, torch.tanh)])
def test_saturated_units_are_within_1_percent_of_the_ends_of_their_range(
    low: float, function: Any
) -> None:
    width = 1 - low
    values = torch.tensor([low + 0.005 * width, low + 0.02 * width, 0.5, 0.97, 0.999])
    ends = ((values - low).minimum(1 - values) / width) < 0.01
    assert saturated(low)(values).tolist() == ends.tolist()
    extreme = function(torch.tensor([-30.0, 0.0, 30.0]))
    assert saturated(low)(extreme).tolist() == [True, False, True]


@pytest.mark.parametrize("model", [ReLUMLP(hidden=[16, 8]), SigmoidMLP(hidden=[16])])
def test_shares_equal_those_of_a_plain_forward_pass(model: Any) -> None:
    x = 5 * torch.randn(50, 1, 28, 28)
    with measured(model) as shares:
        model(x)
    values, expected = x, {}
    for number, layer in enumerate(model.net):
        values = layer(values)
        if isinstance(layer, nn.ReLU):
            expected[f"dead/net.{number}"] = (values.max(dim=0).values <= 0).double().mean().item()
        if isinstance(layer, nn.Sigmoid):
            flat = (values < 0.01) | (values > 0.99)
            expected[f"saturated/net.{number}"] = flat.double().mean().item()
    assert shares == pytest.approx(expected, abs=1e-6)
    assert not any(module._forward_hooks for module in model.modules())


def test_norms_equal_those_of_a_plain_loop(data_root: Path) -> None:
    """Compare with three steps of gradient descent, written out, on the same batches."""
    torch.manual_seed(0)
    plain = ReLUMLP(hidden=[16], optimizer=torch.optim.SGD)
    torch.manual_seed(0)
    model = ReLUMLP(hidden=[16], optimizer=torch.optim.SGD)
    data, recorder = MNIST(root=str(data_root), val_size=50, batch_size=50), Recorder()
    fit = Trainer(
        logger=False, enable_checkpointing=False, enable_progress_bar=False, max_steps=3,
        enable_model_summary=False, log_every_n_steps=1, accelerator="cpu", num_sanity_val_steps=0,
        callbacks=[LayerHealth()],
    )  # fmt: skip
    fit.loggers = [recorder]
    fit.fit(model, datamodule=data)

    optimizer = torch.optim.SGD(plain.parameters())
    norms = []
    loader = data.train_dataloader()
    loader.set_epoch(0)
    for batch in list(loader)[:3]:
        x, y = data.on_after_batch_transfer(batch, 0)
        loss = torch.nn.functional.cross_entropy(plain.net(x), y)
        optimizer.zero_grad()
        loss.backward()
        norms.append(plain.net[1].weight.grad.pow(2).sum().sqrt().item())
        optimizer.step()
        if len(norms) == 1:
            assert recorder.points["start/loss"] == [(0, pytest.approx(loss.item(), rel=1e-5))]
    steps, found = zip(*recorder.points["gradient/net.1"], strict=True)
    assert steps == (0, 1, 2)
    assert found == pytest.approx(norms, rel=1e-4)


def test_the_weights_of_a_line_are_logged_at_every_step(run: Any) -> None:
    """Each logged point follows from the one before by the update rule of gradient descent."""
    run("fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=20")
    folder = Path("lightning_logs/line/version_0")
    curves = read_curves((folder / "curves.csv").read_text())
    weight, bias = curves["line/weight"][1], curves["line/bias"][1]
    assert len(weight) == 20
    x, y = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([5.0, 7.0, 9.0, 11.0])
    for before in range(19):
        error = weight[before] * x + bias[before] - y
        slope = weight[before] - 0.01 * 2 * (error * x).mean().item()
        assert weight[before + 1] == pytest.approx(slope, rel=1e-5)
        assert bias[before + 1] == pytest.approx(
            bias[before] - 0.02 * error.mean().item(), rel=1e-5
        )
