"""The step over fixed buffers, which a GPU captures, equals the usual step; tried on the CPU."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from src.callbacks import FiniteGuard, LayerHealth, StepSeed
from src.data import MNIST
from src.errors import UserError
from src.models import LogisticRegression, Model, ReLUMLP
from src.training import epoch_loop
from src.training.fixed_step import FixedStep, captured
from tests.training.test_epoch_loop import ONE_CYCLE, SGD, STEPPED, images, outcome, train

Step = Callable[[], None]


def logistic(root: Path) -> tuple[Model, Any]:
    return LogisticRegression(optimizer=SGD, **ONE_CYCLE), images(root)


def dropout(root: Path) -> tuple[Model, Any]:
    adam = partial(torch.optim.Adam, lr=2**-10)  # as exact in 32 bits as in 64
    model = ReLUMLP(hidden=[16], dropout=0.3, optimizer=adam, **STEPPED)
    return model, images(root)


def tried_first(step: Step, state: Sequence[Tensor]) -> Step:
    """Make a few steps and undo them, as the capture on a GPU does."""
    before = [one.detach().clone() for one in state]
    for _ in range(4):
        step()
    for one, value in zip(state, before, strict=True):
        one.detach().copy_(value)
    return step


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the loop use fixed steps on the CPU, and return a list of the samples of each."""
    made: list[int] = []
    call = FixedStep.__call__

    def counted(self: FixedStep) -> Tensor:
        made.append(self.loader.batch_size)
        return call(self)

    monkeypatch.setattr(FixedStep, "__call__", counted)
    monkeypatch.setattr(epoch_loop, "uncaptured", lambda trainer, loader: None)
    monkeypatch.setattr(epoch_loop, "captured", tried_first)
    return made


@pytest.mark.parametrize("make", [logistic, dropout])
@pytest.mark.parametrize("settings", [{}, {"max_steps": 13}, {"val_check_interval": 3},
                                      {"reload_dataloaders_every_n_epochs": 1}])  # fmt: skip
def test_it_equals_the_usual_step(
    make: Any, settings: dict[str, Any], data_root: Path, calls: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """An epoch has seven whole batches and a smaller one, which is not captured."""
    extra = {"extra": [StepSeed, LayerHealth], "recorded": False}
    fixed = outcome(train(True, partial(make, data_root), **extra, **settings))
    assert len(calls) == (11 if "max_steps" in settings else 13)  # the first one is the usual one
    monkeypatch.setattr(epoch_loop, "uncaptured", lambda trainer, loader: "no GPU")
    usual = outcome(train(True, partial(make, data_root), **extra, **settings))
    for name, value in usual.items():
        if name != "random":  # the tried steps draw numbers; StepSeed makes that harmless
            assert fixed[name] == value, name


@pytest.mark.parametrize("fixed", [True, False])
def test_the_first_loss_that_is_not_finite_is_named(
    fixed: bool, data_root: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch of step 5 has a single class, for which the loss is made NaN."""
    if not fixed:
        monkeypatch.setattr(epoch_loop, "uncaptured", lambda trainer, loader: "no GPU")

    class Poisoned(LogisticRegression):
        def loss(self, output: Tensor, y: Tensor) -> Tensor:
            usual = super().loss(output, y)
            return torch.where((y == y[0]).all(), torch.nan, usual)

    model = Poisoned(optimizer=SGD)
    data = images(data_root)
    data.setup("fit")
    order = data.train_dataloader().order()
    poisoned = order[5 * 32 : 6 * 32]
    data.splits["train"].y = data.splits["train"].y.clone()
    data.splits["train"].y[poisoned] = 3
    extra = {"extra": [StepSeed, FiniteGuard], "recorded": False, "log_every_n_steps": 0}
    with pytest.raises(UserError, match=r"not finite( \(nan\))? at step 5, epoch 0, lr 0\.05"):
        train(True, lambda: (model, data), **extra)
    assert bool(calls) == fixed


@pytest.mark.parametrize("batch_size", [50, 100, 200, 300])
def test_epochs_of_few_batches_are_captured(
    batch_size: int, data_root: Path, calls: list[int]
) -> None:
    """The steps that are tried before the capture must not read beyond the order."""

    def make() -> tuple[Model, Any]:
        return LogisticRegression(optimizer=SGD), MNIST(root=data_root, val_size=50,
                                                        batch_size=batch_size)  # fmt: skip

    train(True, make, recorded=False, log_every_n_steps=1)
    whole = 250 // batch_size
    assert len(calls) == max(0, 2 * whole - 1)  # the first step is the usual one


def test_a_step_that_cannot_be_captured_is_made_as_usual(
    data_root: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(step: Step, state: Sequence[Tensor]) -> Step:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(epoch_loop, "captured", fail)
    made = train(True, partial(logistic, data_root), recorded=False)
    assert made.global_step == 16
    assert not calls
    assert made.fit_loop.epoch_loop.eager == "operation not permitted when stream is capturing"


@pytest.mark.gpu
def test_a_captured_step_leaves_the_state_as_it_was() -> None:
    total = torch.zeros(3, device="cuda")
    replay = captured(lambda: total.add_(1), [total])
    assert total.tolist() == [0, 0, 0]
    replay()
    replay()
    assert total.tolist() == [2, 2, 2]
