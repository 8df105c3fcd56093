"""Optimizers are fused where possible, which changes no number and can be disabled."""

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer

from src.errors import UserError
from src.training.optimizers import build_optimizer

ARGUMENTS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.01},
    "AdamW": {"lr": 0.01, "weight_decay": 0.1},
}


def spec_of(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"torch.optim.{name}", "init_args": arguments}


def built(name: str, **arguments: Any) -> Optimizer:
    return build_optimizer(spec_of(name, **arguments), nn.Linear(3, 2).parameters())


def learned(name: str, fused: bool) -> torch.Tensor:
    """Return the weights after 20 steps on a small random problem."""
    generator = torch.Generator().manual_seed(0)
    w, x, y = (torch.randn(n, m, generator=generator) for n, m in ((6, 2), (30, 6), (30, 2)))
    weights = nn.Parameter(w.clone())
    optimizer = build_optimizer(spec_of(name, **ARGUMENTS[name]), [weights], fused)
    assert bool(optimizer.defaults["fused"]) is fused
    for _ in range(20):
        optimizer.zero_grad()
        F.mse_loss(x @ weights, y).backward()
        optimizer.step()
    assert (weights.detach() - w).abs().max() > 0.05
    return weights.detach()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_optimizers_are_fused_by_default(name: str) -> None:
    assert built(name, lr=0.1).defaults["fused"] is True
    assert built(name, lr=0.1, fused=None).defaults["fused"] is True


@pytest.mark.parametrize("name", ARGUMENTS)
def test_fusing_changes_no_number(name: str) -> None:
    fused, plain = (learned(name, fused) for fused in (True, False))
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("option", ["foreach", "differentiable"])
def test_another_option_disables_fusing(name: str, option: str) -> None:
    optimizer = built(name, lr=0.1, **{option: True})
    assert optimizer.defaults[option] is True
    assert not optimizer.defaults["fused"]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_fusing_can_be_disabled(name: str) -> None:
    assert built(name, lr=0.1, fused=False).param_groups[0]["fused"] is False
    optimizer = build_optimizer(spec_of(name, lr=0.1), nn.Linear(3, 2).parameters(), fused=False)
    assert not optimizer.param_groups[0]["fused"]


@pytest.mark.parametrize("option", ["foreach", "differentiable"])
def test_fusing_stays_enabled_if_another_option_is_false(option: str) -> None:
    assert built("SGD", lr=0.1, **{option: False}).defaults["fused"] is True


@pytest.mark.parametrize("name", ["RMSprop", "LBFGS", "Adagrad"])
def test_other_optimizers_are_not_fused(name: str) -> None:
    optimizer = built(name, lr=0.1)
    assert type(optimizer).__name__ == name
    assert not optimizer.defaults.get("fused")


def test_arguments_reach_the_optimizer() -> None:
    defaults = built("SGD", **ARGUMENTS["SGD"]).defaults
    assert ARGUMENTS["SGD"].items() <= defaults.items()


@pytest.mark.parametrize("init_args", [{}, {"lr": 0.1}, None])
def test_the_specification_is_not_changed(init_args: dict[str, Any] | None) -> None:
    spec = {"class_path": "torch.optim.Adam", "init_args": init_args}
    before = deepcopy(spec)
    build_optimizer(spec, nn.Linear(3, 2).parameters())
    assert spec == before


def test_invalid_arguments_are_reported() -> None:
    with pytest.raises(UserError, match=r"torch.optim.SGD rejects its arguments"):
        built("SGD", lr=0.1, beta=2)


class OneArgument(Optimizer):
    """An optimizer whose only argument is the learning rate."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})


def test_another_class_of_the_same_name_is_not_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.training.optimizers.import_class", {"others.SGD": OneArgument}.get)
    own = {"class_path": "others.SGD", "init_args": {"lr": 0.1}}
    assert type(build_optimizer(own, nn.Linear(3, 2).parameters())) is OneArgument


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(10, 784), (10,)])
def test_a_step_in_every_precision_equals_one_in_64_bits(
    name: str, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    start, gradient = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
    given = {"class_path": f"torch.optim.{name}", "init_args": {"lr": 0.25, "eps": 1e-4}}
    if name == "SGD":
        del given["init_args"]["eps"]
    ends = []
    for kind in (dtype, torch.float64):
        parameter = nn.Parameter(start.clone().to(kind))
        parameter.grad = gradient.to(kind)
        build_optimizer(given, [parameter], fused=kind == dtype).step()
        ends.append(parameter.detach().double())
    torch.testing.assert_close(*ends, atol=4 * torch.finfo(dtype).eps, rtol=4e-2)
    assert (ends[0] != start.double()).float().mean() > 0.9


def test_fused_sgd_in_16_bits_is_refused_on_a_cpu() -> None:
    given = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "fused": True}}
    parameter = nn.Parameter(torch.zeros(2, 2, dtype=torch.bfloat16))
    with pytest.raises(UserError, match="fused true"):
        build_optimizer(given, [parameter])
