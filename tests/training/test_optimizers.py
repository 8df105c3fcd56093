"""Optimizers: which are fused, with equal results, and that the user's choice is respected."""

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


def given(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"torch.optim.{name}", "init_args": arguments}


def built(name: str, **arguments: Any) -> Optimizer:
    return build_optimizer(given(name, **arguments), nn.Linear(3, 2).parameters())


def learned(name: str, fused: bool) -> torch.Tensor:
    """Return the weights after 20 steps on a small random problem."""
    generator = torch.Generator().manual_seed(0)
    w, x, y = (torch.randn(n, m, generator=generator) for n, m in ((6, 2), (30, 6), (30, 2)))
    weights = nn.Parameter(w.clone())
    optimizer = build_optimizer(given(name, **ARGUMENTS[name]), [weights], fused)
    assert bool(optimizer.defaults["fused"]) is fused
    for _ in range(20):
        optimizer.zero_grad()
        F.mse_loss(x @ weights, y).backward()
        optimizer.step()
    assert (weights.detach() - w).abs().max() > 0.05
    return weights.detach()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_can_be_fused_is(name: str) -> None:
    assert built(name, lr=0.1).defaults["fused"] is True
    assert built(name, lr=0.1, fused=None).defaults["fused"] is True


@pytest.mark.parametrize("name", ARGUMENTS)
def test_fusing_changes_no_number(name: str) -> None:
    fused, plain = (learned(name, fused) for fused in (True, False))
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("asked", ["foreach", "differentiable"])
def test_a_chosen_implementation_is_used(name: str, asked: str) -> None:
    optimizer = built(name, lr=0.1, **{asked: True})
    assert optimizer.defaults[asked] is True
    assert not optimizer.defaults["fused"]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_fusing_can_be_declined(name: str) -> None:
    assert built(name, lr=0.1, fused=False).param_groups[0]["fused"] is False
    optimizer = build_optimizer(given(name, lr=0.1), nn.Linear(3, 2).parameters(), fused=False)
    assert not optimizer.param_groups[0]["fused"]


@pytest.mark.parametrize("asked", ["foreach", "differentiable"])
def test_false_for_another_implementation_leaves_fused_on(asked: str) -> None:
    assert built("SGD", lr=0.1, **{asked: False}).defaults["fused"] is True


@pytest.mark.parametrize("name", ["RMSprop", "LBFGS", "Adagrad"])
def test_other_optimizers_are_built_as_they_are(name: str) -> None:
    optimizer = built(name, lr=0.1)
    assert type(optimizer).__name__ == name
    assert not optimizer.defaults.get("fused")


def test_arguments_reach_the_optimizer() -> None:
    defaults = built("SGD", **ARGUMENTS["SGD"]).defaults
    assert ARGUMENTS["SGD"].items() <= defaults.items()


@pytest.mark.parametrize("init_args", [{}, {"lr": 0.1}, None])
def test_the_specification_is_left_as_it_is(init_args: dict[str, Any] | None) -> None:
    spec = {"class_path": "torch.optim.Adam", "init_args": init_args}
    before = deepcopy(spec)
    build_optimizer(spec, nn.Linear(3, 2).parameters())
    assert spec == before


def test_arguments_that_are_refused_are_named() -> None:
    with pytest.raises(UserError, match=r"torch.optim.SGD rejects its arguments"):
        built("SGD", lr=0.1, beta=2)


class Somebodys(Optimizer):
    """An optimizer that accepts one argument only."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})


def test_another_class_of_the_same_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.training.optimizers.import_class", {"somebodys.SGD": Somebodys}.get)
    own = {"class_path": "somebodys.SGD", "init_args": {"lr": 0.1}}
    assert type(build_optimizer(own, nn.Linear(3, 2).parameters())) is Somebodys
