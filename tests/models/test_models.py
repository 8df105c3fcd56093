"""The networks: number of parameters, output shapes, layers and checkpoints."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

import src.models
from src.data import Line
from src.errors import UserError
from src.models import LeNet, LinearRegression, LogisticRegression, Model, ReLUMLP, SigmoidMLP

MODELS = [cls for cls in vars(src.models).values() if isinstance(cls, type) and cls is not Model]


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (LinearRegression(), 2),
        (LinearRegression(bias=False), 1),
        (LogisticRegression(bias=False), 7_840),
        (LogisticRegression(), 7_850),
        (SigmoidMLP(bias=False), 784 * 512 + 512 * 10),
        (SigmoidMLP(), 407_050),
        (ReLUMLP(hidden=[128, 64]), 109_386),
        (ReLUMLP(hidden=[512, 512], dropout=0.2), 669_706),
        (ReLUMLP(hidden=[512, 512], bias=False), 784 * 512 + 512 * 512 + 512 * 10),
        (ReLUMLP(input_shape=[4], hidden=[10], num_outputs=4, loss="mse"), 94),
        (LeNet(), 61_706),
        (LeNet(input_shape=[3, 32, 32]), 62_006),
    ],
)
def test_models_have_the_expected_number_of_parameters(model: Model, parameters: int) -> None:
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("cls", MODELS)
def test_output_shape_is_right_and_each_parameter_has_a_gradient(cls: type[Model]) -> None:
    model = cls(input_shape=[3, 32, 32], num_outputs=7)
    output = model(torch.randn(5, 3, 32, 32))
    assert output.shape == (5, 7)
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_lenet_has_the_feature_maps_of_the_paper() -> None:
    x, shapes = torch.randn(1, 1, 32, 32), []
    for layer in LeNet().net:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[2] == (6, 14, 14)
    assert shapes[5] == (16, 5, 5)
    assert shapes[6] == (400,)


def network_of_the_paper(channels: int) -> nn.Sequential:
    """Return the network in the order of the paper: convolution, activation, pooling."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
def test_lenet_equals_the_layer_order_of_the_paper(channels: int) -> None:
    model, expected = LeNet(input_shape=[channels, 32, 32]), network_of_the_paper(channels)
    weights = list(model.net.parameters())
    for theirs, ours in zip(expected.parameters(), weights, strict=True):
        theirs.data = ours.detach().clone(memory_format=torch.contiguous_format)
    x = torch.randn(9, channels, 32, 32)
    outputs = [net(x) for net in (model, expected)]
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-6)
    for output in outputs:
        output.logsumexp(dim=1).mean().backward()
    for theirs, ours in zip(expected.parameters(), weights, strict=True):
        assert theirs.grad.abs().max() > 1e-4
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", [{"activation": "tanh"}, {"activation": "gelu"},
                                      {"pool": "avg"}])  # fmt: skip
def test_activation_comes_before_pooling_where_the_order_matters(settings: dict[str, Any]) -> None:
    names = [type(layer).__name__ for layer in LeNet(**settings).net]
    pools = [i for i, name in enumerate(names) if name.endswith("Pool2d")]
    assert pools == [2, 5]
    assert {names[i - 1] for i in pools} <= {"Tanh", "GELU", "ReLU"}
    assert [names[i - 2] for i in pools] == ["Conv2d", "Conv2d"]


@pytest.mark.parametrize(("activation", "layer"), [("tanh", nn.Tanh), ("gelu", nn.GELU)])
@pytest.mark.parametrize("cls", [ReLUMLP, SigmoidMLP, LeNet])
def test_activation_is_a_setting(cls: type[Model], activation: str, layer: type) -> None:
    kinds = [type(module) for module in cls(activation=activation).modules()]
    assert layer in kinds
    assert not {nn.ReLU, nn.Sigmoid} & set(kinds)


def test_pooling_and_dropout_are_settings() -> None:
    assert any(isinstance(m, nn.AvgPool2d) for m in LeNet(pool="avg").net)
    assert [m.p for m in ReLUMLP(dropout=0.3).net if isinstance(m, nn.Dropout)] == [0.3, 0.3]


@pytest.mark.parametrize("shape", [[1], [784], [1, 8, 8]])
def test_lenet_refuses_inputs_that_are_not_images(shape: list[int]) -> None:
    with pytest.raises(UserError, match="at least 16x16"):
        LeNet(input_shape=shape)


def plain_loss(model: Model, output: torch.Tensor, y: torch.Tensor) -> float:
    one_hot = torch.zeros_like(output)
    one_hot[range(len(y)), y] = 1.0
    return ((output - one_hot) ** 2).mean().item()


def test_mse_on_classes_uses_one_hot_targets() -> None:
    model, y = LogisticRegression(loss="mse"), torch.tensor([3, 1, 9])
    output = torch.randn(3, 10)
    assert model.loss(output, y).item() == pytest.approx(plain_loss(model, output, y), rel=1e-6)


def fitted(model: Model, folder: Path) -> tuple[Trainer, Path]:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=2, default_root_dir=folder, enable_checkpointing=False, **quiet)
    trainer.fit(model, datamodule=Line(noise=0.1, num_points=20))
    trainer.save_checkpoint(folder / "model.ckpt", weights_only=False)
    return trainer, folder / "model.ckpt"


SCHEDULER = partial(torch.optim.lr_scheduler.StepLR, step_size=1)


@pytest.mark.filterwarnings("ignore:.*many workers", "ignore:The number of training batches")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": partial(torch.optim.SGD, lr=0.03, momentum=0.5), "scheduler": SCHEDULER},
        {"optimizer": torch.optim.AdamW, "bias": False},
    ],
)
def test_a_checkpoint_made_in_python_loads_with_weights_only(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    model = LinearRegression(**settings)
    trainer, path = fitted(model, tmp_path)
    torch.load(path, weights_only=True)
    loaded = LinearRegression.load_from_checkpoint(path, weights_only=True)
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert loaded.hparams == model.hparams
    fitted(loaded, tmp_path / "again")
    first, second = trainer.optimizers[0], loaded.trainer.optimizers[0]
    assert type(second) is type(first)
    assert second.defaults == first.defaults


def test_hyperparameters_equal_the_optimizer_that_ran(tmp_path: Path) -> None:
    model = LinearRegression(optimizer=partial(torch.optim.SGD, lr=0.03), scheduler=SCHEDULER)
    trainer, _ = fitted(model, tmp_path)
    assert model.hparams["optimizer"]["init_args"]["lr"] == 0.03
    assert trainer.optimizers[0].defaults["lr"] == 0.03
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.03 * 0.1**2)


def test_a_lambda_cannot_be_recorded_and_is_refused() -> None:
    with pytest.raises(UserError, match=r"functools.partial"):
        LinearRegression(optimizer=lambda parameters: torch.optim.SGD(parameters))
