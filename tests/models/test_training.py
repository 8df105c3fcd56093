"""Training equals a plain PyTorch loop; metrics equal those of numpy over the full data set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer

from src.data import MNIST, Line, TensorData
from src.data.loader import mixed
from src.models import LeNet, LinearRegression, Model, ReLUMLP

SGD = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.05, "momentum": 0.9}}


class Losses(Callback):
    """Stores the loss of each step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        self.values.append(args[2]["loss"].item())


def trainer(**settings: Any) -> Trainer:
    return Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False,
                   enable_model_summary=False, num_sanity_val_steps=0, **settings)  # fmt: skip


def plain_loop(model: Model, data: TensorData, epochs: int) -> list[float]:
    """Train `model.net` in plain PyTorch on the batches of seed 0, and return the losses."""
    split, losses = data.splits["train"], []
    optimizer = torch.optim.SGD(model.net.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(epochs):
        order = split.indices[torch.randperm(len(split.indices), generator=seeded(epoch))]
        for start in range(0, len(order), data.batch_size):
            chosen = order[start : start + data.batch_size]
            x, y = split.x[chosen], split.y[chosen]
            if x.dtype == torch.uint8:
                x = (x.float() / 255 - data.mean / 255) / (data.std / 255)
            output = model.net(x)
            regression = y.is_floating_point()
            loss = ((output - y) ** 2).mean() if regression else F.cross_entropy(output, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def seeded(epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(mixed(0, epoch))


@pytest.mark.parametrize("kind", ["line", "mlp", "lenet"])
def test_losses_and_weights_equal_a_plain_loop(kind: str, data_root: Path) -> None:
    images = {"root": str(data_root), "val_size": 50, "batch_size": 64}
    model, data = {
        "line": lambda: (LinearRegression(optimizer=SGD), Line(noise=0.3, batch_size=10)),
        "mlp": lambda: (ReLUMLP(hidden=[32], optimizer=SGD), MNIST(**images)),
        "lenet": lambda: (LeNet(optimizer=SGD), MNIST(pad=2, **images)),
    }[kind]()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    losses = Losses()
    trainer(max_epochs=3, callbacks=[losses]).fit(model, datamodule=data)
    learned = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(start)
    expected = plain_loop(model, data, epochs=3)
    np.testing.assert_allclose(losses.values, expected, rtol=1e-5, atol=1e-5)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(learned[name], value, rtol=0, atol=1e-5)


def test_metrics_equal_numpy_over_the_whole_set_with_a_smaller_last_batch(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.data.base.EVALUATION_BATCH", 1)
    model = ReLUMLP(hidden=[16])
    data = MNIST(root=str(data_root), val_size=50, batch_size=48)  # 130 = 48 + 48 + 34
    [logged] = trainer().test(model, datamodule=data, verbose=False)
    split = data.splits["test"]
    x = (split.x.numpy() / 255.0 - data.mean.numpy() / 255) / (data.std.numpy() / 255)
    logits = model.net.eval()(torch.from_numpy(x).float()).detach().numpy().astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    y = split.y.numpy()
    assert logged["test/loss"] == pytest.approx(-log_p[range(130), y].mean(), rel=1e-5)
    assert logged["test/acc"] == pytest.approx((logits.argmax(axis=1) == y).mean(), rel=1e-6)


def test_training_accuracy_is_the_mean_over_all_batches_of_the_epoch(data_root: Path) -> None:
    frozen = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.0}}
    model = ReLUMLP(hidden=[16], optimizer=frozen)
    data = MNIST(root=str(data_root), val_size=50, batch_size=64)  # 250 = 3 * 64 + 58
    fit = trainer(max_epochs=1)
    fit.fit(model, datamodule=data)
    split = data.splits["train"]
    x = (split.x[split.indices].float() - data.mean) / data.std
    right = model.net(x).argmax(dim=1) == split.y[split.indices]
    assert fit.callback_metrics["train/acc"] == pytest.approx(right.float().mean().item(), rel=1e-6)


def test_the_initial_loss_is_near_the_logarithm_of_the_number_of_classes(
    data_root: Path,
) -> None:
    data = MNIST(root=str(data_root), val_size=50)
    [logged] = trainer().validate(ReLUMLP(), datamodule=data, verbose=False)
    assert logged["val/loss"] == pytest.approx(np.log(10), abs=0.15)


def test_line_equals_plain_gradient_descent_in_float64() -> None:
    optimizer = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.01}}
    data = Line(slope=2.0, intercept=3.0, low=1.0, high=4.0, num_points=4, batch_size=4)
    model = LinearRegression(optimizer=optimizer)
    w, b = (p.item() for p in model.parameters())
    trainer(max_epochs=300).fit(model, datamodule=data)
    x = np.array([1.0, 2.0, 3.0, 4.0])
    y = 2 * x + 3
    for _ in range(300):
        error = w * x + b - y
        w, b = w - 0.01 * 2 * (error * x).mean(), b - 0.01 * 2 * error.mean()
    learned = [p.item() for p in model.parameters()]
    assert learned == pytest.approx([w, b], abs=1e-4)
