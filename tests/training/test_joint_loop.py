"""Runs whose steps are made together end like runs made one by one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from src.callbacks import FiniteGuard, LayerHealth, StepSeed
from src.data import Line
from src.data.augment import Augment
from src.errors import UserError
from src.models import LeNet, LogisticRegression, Model, ReLUMLP, SigmoidMLP
from src.training.joint_loop import JointLoop
from src.training.meeting import Meeting
from src.training.stack import ELEMENTWISE, GivenDropout
from tests.training.test_epoch_loop import (
    ONE_CYCLE,
    QUIET,
    SGD,
    STEPPED,
    MemoryLogger,
    images,
    outcome,
)

SEEDS = 3
OF_STEPS = (StepSeed, FiniteGuard, LayerHealth)
Make = Callable[[Path, int], tuple[Model, Any]]


def logistic(root: Path, seed: int) -> tuple[Model, Any]:
    return LogisticRegression(optimizer=SGD, **ONE_CYCLE), images(root, seed=seed)


def dropout(root: Path, seed: int) -> tuple[Model, Any]:
    adam = partial(torch.optim.Adam, lr=2**-10)
    model = ReLUMLP(hidden=[16, 8], dropout=0.3, optimizer=adam, **STEPPED)
    return model, images(root, seed=seed)


def augmented(root: Path, seed: int) -> tuple[Model, Any]:
    augment = Augment(shift=1, rotation=10)
    return SigmoidMLP(hidden=[8], optimizer=SGD), images(root, seed=seed, augment=augment)


def convolutions(root: Path, seed: int) -> tuple[Model, Any]:
    rmsprop = partial(torch.optim.RMSprop, lr=2**-10)
    return LeNet(optimizer=rmsprop), images(root, seed=seed, pad=2)


def regression(root: Path, seed: int) -> tuple[Model, Any]:
    model = ReLUMLP([1], 1, hidden=[6], loss="mse", optimizer=SGD)
    return model, Line(noise=0.3, num_points=105, batch_size=10, seed=seed)


def training(make: Make, root: Path, seed: int, callbacks: list[Callback], loop: Any,
             kept: dict[int, Trainer], **settings: Any) -> None:  # fmt: skip
    torch.manual_seed(seed)
    model, data = make(root, seed)
    usual = {**QUIET, "enable_checkpointing": False, "log_every_n_steps": 1, "max_epochs": 2}
    made = Trainer(**{**usual, "logger": MemoryLogger(), "callbacks": callbacks, **settings})
    made.fit_loop.epoch_loop = loop(made)
    kept[seed] = made
    made.fit(model, datamodule=data)


@pytest.fixture
def unstacked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that lets all later runs make their steps alone."""

    def undo() -> None:
        monkeypatch.setattr("src.training.joint_loop.unstackable", lambda step: "tested")

    return undo


@pytest.mark.parametrize("make", [logistic, dropout, augmented, convolutions, regression])
@pytest.mark.parametrize("settings", [{}, {"max_steps": 13}, {"val_check_interval": 3},
                                      {"log_every_n_steps": 3}])  # fmt: skip
def test_runs_together_equal_runs_alone(
    make: Make, settings: dict[str, Any], data_root: Path, unstacked: Callable[[], None]
) -> None:
    together = trained(make, data_root, **settings)
    unstacked()
    alone = trained(make, data_root, **settings)
    for seed in range(SEEDS):
        loop: Any = together[seed].fit_loop.epoch_loop
        assert loop.steps_made() == f"together with {SEEDS - 1} other seeds"
        one, other = outcome(together[seed]), outcome(alone[seed])
        for name in ("steps", "epochs", "progress"):
            assert one[name] == other[name], name
        for name in ("weights", "optimizer", "metrics", "shown", "logged"):
            assert_close(one[name], other[name], name)


def trained(make: Make, root: Path, **settings: Any) -> dict[int, Trainer]:
    """Return the trainers of several seeds that were trained in one process."""
    meeting, kept = Meeting(), dict[int, Trainer]()
    loop = partial(JointLoop, own_batches=False, wait=meeting.wait)
    runs = [
        partial(training, make, root, seed, [kind() for kind in OF_STEPS], loop, kept, **settings)
        for seed in range(SEEDS)
    ]
    assert meeting.run(runs) == [None] * SEEDS
    return kept


def assert_close(one: Any, other: Any, name: str) -> None:
    """Assert that nested numbers differ by rounding only."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), name
        pairs = [(one[key], other[key], f"{name}.{key}") for key in one]
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), name
        pairs = [(*pair, name) for pair in zip(one, other, strict=True)]
    else:
        close = one == pytest.approx(other, rel=1e-4, abs=1e-5) if one != other else True
        assert close, f"{name}: {one} and {other}"
        return
    for pair in pairs:
        assert_close(*pair)


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_every_optimizer_of_a_stack_equals_its_own(
    kind: Any, data_root: Path, unstacked: Callable[[], None]
) -> None:
    def make(root: Path, seed: int) -> tuple[Model, Any]:
        optimizer = partial(kind, lr=2**-8, weight_decay=2**-7)
        return ReLUMLP(hidden=[8], optimizer=optimizer), images(root, seed=seed)

    together = trained(make, data_root, max_epochs=1)
    unstacked()
    alone = trained(make, data_root, max_epochs=1)
    for seed in range(SEEDS):
        assert together[seed].fit_loop.epoch_loop.others
        for name in ("weights", "optimizer"):
            assert_close(outcome(together[seed])[name], outcome(alone[seed])[name], name)


def test_seeds_differ(data_root: Path) -> None:
    weights = [one.lightning_module.net[1].weight for one in trained(dropout, data_root).values()]
    assert not torch.allclose(weights[0], weights[1])


def test_a_run_with_a_loss_that_is_not_finite_ends_alone(data_root: Path) -> None:
    def make(root: Path, seed: int) -> tuple[Model, Any]:
        return LogisticRegression(optimizer=SGD), images(root, seed=seed)

    class Poison(Callback):
        def on_train_epoch_start(self, trainer: Trainer, model: Any) -> None:
            if trainer.current_epoch == 1:
                with torch.no_grad():
                    model.net[1].weight.fill_(torch.nan)

    class Validations(Callback):
        def __init__(self) -> None:
            self.steps: list[int] = []

        def on_validation_end(self, trainer: Trainer, model: Any) -> None:
            self.steps.append(trainer.global_step)

    meeting, kept = Meeting(), dict[int, Trainer]()
    loop = partial(JointLoop, own_batches=False, wait=meeting.wait)
    counted = [Validations() for _ in range(SEEDS)]
    ends = meeting.run([
        partial(training, make, data_root, seed, [*(kind() for kind in OF_STEPS), counted[seed],
                *[Poison()] * (seed == 1)], loop, kept)
        for seed in range(SEEDS)
    ])  # fmt: skip
    assert [end is None for end in ends] == [True, False, True]
    assert isinstance(ends[1], UserError)
    assert "not finite, after a gradient that was not finite, at step 8, epoch 1" in str(ends[1])
    assert [kept[seed].global_step for seed in range(SEEDS)] == [16, 8, 16]
    assert [one.steps for one in counted] == [[8, 16], [8], [8, 16]]


def test_runs_of_unequal_length_meet_again(data_root: Path, unstacked: Callable[[], None]) -> None:
    """A run that is ahead waits for the others: here one makes its first five steps alone."""

    class Ahead(Callback):
        def on_train_start(self, trainer: Any, model: Any) -> None:
            trainer.fit_loop.epoch_loop.alone = "ahead"

        def on_validation_end(self, trainer: Any, model: Any) -> None:
            trainer.fit_loop.epoch_loop.alone = None

    def runs(meeting: Meeting, kept: dict[int, Trainer]) -> list[Any]:
        loop = partial(JointLoop, own_batches=False, wait=meeting.wait)
        return [
            partial(training, dropout, data_root, seed,
                    [kind() for kind in OF_STEPS] + [Ahead()] * (seed == 0), loop, kept,
                    val_check_interval=5)
            for seed in range(SEEDS)
        ]  # fmt: skip

    meeting, kept = Meeting(), dict[int, Trainer]()
    assert meeting.run(runs(meeting, kept)) == [None] * SEEDS
    unstacked()
    alone = trained(dropout, data_root, val_check_interval=5)
    for seed in range(SEEDS):
        assert kept[seed].fit_loop.epoch_loop.others == 2
        assert_close(outcome(kept[seed])["weights"], outcome(alone[seed])["weights"], "weights")


@pytest.mark.parametrize("share", [0.3, 0.0, 1.0])
def test_given_dropout_draws_what_dropout_draws(share: float) -> None:
    layer, x = GivenDropout(share), torch.randn(5, 7)
    layer.factor = torch.ones_like(x)
    layer.factor = layer.drawn(torch.Generator().manual_seed(4))
    torch.manual_seed(4)
    assert torch.equal(layer(x), torch.nn.functional.dropout(x, share))


def test_a_model_that_cannot_be_stacked_is_trained_alone(data_root: Path) -> None:
    class Decides(LogisticRegression):
        def loss(self, output: Tensor, y: Tensor) -> Tensor:
            usual = super().loss(output, y)
            return usual if usual > 0 else -usual

    def make(root: Path, seed: int) -> tuple[Model, Any]:
        return Decides(optimizer=SGD), images(root, seed=seed)

    kept = trained(make, data_root)
    for one in kept.values():
        assert one.global_step == 16
        assert "not together: vmap" in one.fit_loop.epoch_loop.steps_made()
        assert one.fit_loop.epoch_loop.others == 0


def test_where_single_steps_are_captured_runs_still_meet(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU; a captured step would not wait for the others."""

    def refuse(*args: Any) -> None:
        raise AssertionError("a step was captured")

    monkeypatch.setattr("src.training.epoch_loop.uncaptured", lambda trainer, loader: None)
    monkeypatch.setattr("src.training.epoch_loop.FixedStep", refuse)
    for one in trained(logistic, data_root).values():
        assert one.fit_loop.epoch_loop.others == SEEDS - 1
        assert one.global_step == 16
