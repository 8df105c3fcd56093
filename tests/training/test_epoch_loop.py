"""The fast training step is bit-identical to Lightning's own step."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, ModelCheckpoint
from lightning.pytorch.cli import ReduceLROnPlateau
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor

from src.data import MNIST, Line, TensorData
from src.data.augment import Augment
from src.data.loader import BatchLoader
from src.models import LeNet, LinearRegression, LogisticRegression, Model, ReLUMLP
from src.training.epoch_loop import EpochLoop, is_plain

Heard = list[tuple[Any, ...]]
SCHEDULERS = torch.optim.lr_scheduler
SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
ONE_CYCLE = {"scheduler": partial(SCHEDULERS.OneCycleLR, max_lr=0.1), "scheduler_interval": "step"}
STEPPED = {"scheduler": partial(SCHEDULERS.StepLR, step_size=1, gamma=0.5)}
PLATEAU = {"scheduler": partial(ReduceLROnPlateau, monitor="val/loss", patience=0)}


class Counting(EpochLoop):
    """Counts the fast steps."""

    short = 0

    def _step(self, *args: Any) -> Tensor:
        self.short += 1
        return super()._step(*args)


class Witness(Callback):
    """Records the state that a callback sees before and after a step."""

    def __init__(self) -> None:
        self.record: Heard = []

    def on_train_batch_start(self, trainer: Trainer, model: Model, batch: Any, index: int) -> None:
        self.record.append(("start", index, plain(batch), *where(trainer)))

    def on_train_batch_end(
        self, trainer: Trainer, model: Model, outputs: Any, batch: Any, index: int
    ) -> None:
        assert not outputs["loss"].requires_grad
        self.record.append(("end", index, plain(outputs), plain(batch), *where(trainer)))


class Spoken(Callback):
    """Logs another metric after each step."""

    def on_train_batch_end(self, *args: Any) -> None:
        _, model, outputs, _, index = args
        model.log("own/step", outputs["loss"] + index, on_step=True, prog_bar=True)
        model.log("own/epoch", outputs["loss"] * index, on_step=False, on_epoch=True, batch_size=1)


class Memory(Logger):
    """Logger that keeps the metrics it gets."""

    name, version = "memory", 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: Heard = []

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.lines.append((dict(metrics), step))


def where(trainer: Trainer) -> tuple[Any, ...]:
    """Return the state of the trainer: counters, learning rate, whether this is the last batch."""
    loop, [group] = trainer.fit_loop.epoch_loop, trainer.optimizers[0].param_groups
    counters = trainer.global_step, trainer.current_epoch, loop.total_batch_idx, loop.batch_idx
    return *counters, group["lr"], trainer.is_last_batch


def plain(value: Any) -> Any:
    """Return nested tensors as nested lists, which `==` compares."""
    if isinstance(value, Tensor):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}


def trainer(short: bool, callbacks: list[Callback], **settings: Any) -> Trainer:
    usual = {**QUIET, "enable_checkpointing": False, "log_every_n_steps": 2, "max_epochs": 2}
    made = Trainer(**{**usual, "logger": Memory(), "callbacks": callbacks, **settings})
    if short:
        made.fit_loop.epoch_loop.__class__ = Counting
    return made


def evidence(made: Trainer) -> dict[str, Any]:
    """Return the complete state after training, except for the counter of `zero_grad`."""
    progress = made.fit_loop.state_dict()
    progress["epoch_loop.automatic_optimization.optim_progress"]["optimizer"].pop("zero_grad")
    return {
        "weights": plain(made.lightning_module.state_dict()),
        "optimizer": plain(made.optimizers[0].state_dict()),
        "metrics": plain(dict(made.callback_metrics)),
        "shown": plain(dict(made.progress_bar_metrics)),
        "steps": made.global_step,
        "epochs": made.current_epoch,
        "progress": progress,
        "logged": [line for logger in made.loggers for line in logger.lines],
        "record": [entry for c in made.callbacks for entry in getattr(c, "record", [])],
        "random": torch.get_rng_state().tolist(),
    }


Make = Callable[[], tuple[Model, TensorData]]


def train(short: bool, make: Make, ckpt: Path | None = None, **settings: Any) -> Trainer:
    torch.manual_seed(0)
    model, data = make()
    callbacks = [Witness(), *(kind() for kind in settings.pop("extra", []))]
    made = trainer(short, callbacks, **settings)
    made.fit(model, datamodule=data, ckpt_path=ckpt, weights_only=False if ckpt else None)
    return made


def assert_same(one: Trainer, other: Trainer) -> None:
    first, second = evidence(one), evidence(other)
    assert first["logged"]
    assert first["record"]
    for name, value in first.items():
        assert value == second[name], name


def assert_both_ways_same(make: Make, short: bool = True, **settings: Any) -> Trainer:
    """Train with both steps, compare everything, and return the trainer of the fast step."""
    fast, slow = train(True, make, **settings), train(False, make, **settings)
    assert fast.fit_loop.epoch_loop.short == (fast.global_step if short else 0)
    assert fast.global_step > 0
    assert_same(slow, fast)
    return fast


def line(**model: Any) -> tuple[Model, TensorData]:
    return LinearRegression(**{"optimizer": SGD, **model}), Line(noise=0.3, num_points=35)


def images(root: Path, **settings: Any) -> TensorData:
    return MNIST(root=str(root), val_size=50, batch_size=32, **settings)  # 250 = 7 * 32 + 26


def logistic(root: Path) -> tuple[Model, TensorData]:
    return LogisticRegression(optimizer=SGD, **ONE_CYCLE), images(root)


def dropout(root: Path) -> tuple[Model, TensorData]:
    model = ReLUMLP(hidden=[16], dropout=0.3, optimizer=torch.optim.Adam, **STEPPED)
    return model, images(root)


def augmented(root: Path) -> tuple[Model, TensorData]:
    data = images(root, pad=2, train_size=100, augment=Augment(rotation=10.0, erase=0.5))
    return LeNet(optimizer=SGD), data


@pytest.mark.parametrize("make", [logistic, dropout, augmented])
def test_images_are_learned_the_same_both_ways(make: Callable[..., Any], data_root: Path) -> None:
    assert_both_ways_same(partial(make, data_root))


LBFGS = partial(torch.optim.LBFGS, lr=0.5, max_iter=4)
WAYS = {
    "plain": ({}, {}),
    "one cycle by step": (ONE_CYCLE, {}),
    "one step by epoch": (STEPPED, {}),
    "plateau": (PLATEAU, {}),
    "validation within the epoch": ({}, {"val_check_interval": 2}),
    "a part of the epoch": (ONE_CYCLE, {"limit_train_batches": 3}),
    "no validation": ({}, {"limit_val_batches": 0}),
    "stopped within the epoch": (STEPPED, {"max_steps": 6}),
    "the same batch": ({}, {"overfit_batches": 1, "log_every_n_steps": 1}),
    "a callback that logs": ({}, {"extra": [Spoken]}),
}


@pytest.mark.filterwarnings("ignore:You requested to overfit")
@pytest.mark.parametrize("way", WAYS)
def test_a_line_is_learned_the_same_both_ways(way: str) -> None:
    model, settings = WAYS[way]
    assert_both_ways_same(partial(line, **model), **settings)


def test_an_optimizer_that_asks_for_the_loss_several_times_does_so_both_ways() -> None:
    make = partial(line, optimizer=LBFGS)
    fast, slow = (evidence(train(short, make)) for short in (True, False))
    del fast["record"], slow["record"]
    assert fast == slow


def test_callbacks_get_the_same_one_of_several_losses_both_ways() -> None:
    assert_both_ways_same(partial(line, optimizer=LBFGS))


def test_what_a_callback_logs_reaches_the_logger_the_short_way() -> None:
    made = train(True, line, extra=[Spoken])
    names = {name for metrics, _ in made.logger.lines for name in metrics}
    assert {"own/step", "own/epoch"} <= names


def test_the_short_way_leaves_out_nothing_but_the_count_of_zero_grad() -> None:
    fast, slow = (train(short, line).fit_loop.state_dict() for short in (True, False))
    name = "epoch_loop.automatic_optimization.optim_progress"
    counts = [state[name]["optimizer"].pop("zero_grad")["total"] for state in (fast, slow)]
    assert counts[0] == {"ready": 0, "started": 0, "completed": 0}
    assert counts[1] == {"ready": 8, "started": 8, "completed": 8}
    assert fast == slow


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
@pytest.mark.parametrize("first", [{"max_epochs": 1}, {"max_steps": 6}])
@pytest.mark.parametrize("crossed", [False, True])
def test_training_goes_on_from_a_checkpoint_the_same_both_ways(
    first: dict[str, Any], crossed: bool, tmp_path: Path
) -> None:
    make = partial(line, **STEPPED)
    for short in (True, False):
        train(short, make, **first).save_checkpoint(tmp_path / f"{short}.ckpt")
    fast, slow = (
        train(short, make, tmp_path / f"{short is not crossed}.ckpt", max_epochs=3)
        for short in (True, False)
    )
    assert_same(slow, fast)
    # The first step after a checkpoint is Lightning's.
    assert 0 < fast.fit_loop.epoch_loop.short < fast.global_step


EVERY_STEP = {"every_n_train_steps": 1}
EVERY_VALIDATION = {"every_n_epochs": 1, "save_on_train_epoch_end": False}
EVERY_EPOCH = {"every_n_epochs": 1, "save_on_train_epoch_end": True}


@pytest.mark.filterwarnings(
    "ignore:You're resuming from a checkpoint that ended before",
    "ignore:Be aware that when using `ckpt_path`",
)
@pytest.mark.parametrize(
    ("when", "interval"),
    [
        (EVERY_STEP, 1.0),
        (EVERY_STEP, 2),
        (EVERY_VALIDATION, 1.0),
        (EVERY_VALIDATION, 2),
        (EVERY_EPOCH, 1.0),
        (EVERY_EPOCH, 2),
    ],
)
def test_training_goes_on_from_whatever_was_saved_the_same_both_ways(
    when: dict[str, Any], interval: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.data.base.EVALUATION_BATCH", 25)  # four batches in a validation
    saver = partial(ModelCheckpoint, tmp_path, filename="{step}", save_top_k=-1, **when)
    settings = {"val_check_interval": interval}
    train(True, line, extra=[saver], enable_checkpointing=True, **settings)
    paths = sorted(tmp_path.glob("*.ckpt"))
    assert len(paths) >= 2
    for path in paths:
        fast, slow = (train(short, line, path, max_epochs=3, **settings) for short in (True, False))
        assert fast.fit_loop.epoch_loop.short
        assert_same(slow, fast)


# Written out, so that src.training.epoch_loop cannot forget one.
CALLED = ["on_before_backward", "on_before_optimizer_step"]
IN_STEP = ["on_before_zero_grad", "on_after_backward"]
BEFORE_TRANSFER = ["on_before_batch_transfer", "transfer_batch_to_device"]
OF_MODEL = ["on_after_batch_transfer", "on_train_batch_start", "on_train_batch_end", "backward",
            "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping"]  # fmt: skip


def listening(base: type, hook: str) -> type:
    """Return a subclass that overrides a hook and records its calls."""

    def record(self: Any, *args: Any, **kwargs: Any) -> Any:
        made.calls.append(hook)
        return getattr(super(made, self), hook)(*args, **kwargs)

    made: Any = type("Listening", (base,), {hook: record, "calls": []})
    return made


def assert_heard_both_ways(listener: Any, make: Make, **settings: Any) -> None:
    counts = []
    for short in (True, False):
        listener.calls.clear()
        made = train(short, make, **settings)
        counts.append(len(listener.calls))
        assert not (short and made.fit_loop.epoch_loop.short)
    assert counts[0] == counts[1] >= made.global_step
    assert_both_ways_same(make, short=False, **settings)


@pytest.mark.parametrize("hook", IN_STEP)
def test_a_callback_is_called_within_the_step(hook: str) -> None:
    listener = listening(Callback, hook)
    assert_heard_both_ways(listener, line, extra=[listener], max_epochs=1)


@pytest.mark.parametrize("hook", CALLED)
def test_a_callback_is_called_within_the_short_step(hook: str) -> None:
    listener = listening(Callback, hook)
    made = assert_both_ways_same(line, extra=[listener], max_epochs=1)
    assert len(listener.calls) == 2 * made.global_step


@pytest.mark.filterwarnings("ignore:You have overridden `.*_transfer")
@pytest.mark.filterwarnings("ignore:You have overridden `transfer_batch_to_device")
@pytest.mark.parametrize("hook", [*CALLED, *IN_STEP, *BEFORE_TRANSFER, *OF_MODEL])
def test_a_model_is_called_within_the_step(hook: str) -> None:
    listener = listening(LinearRegression, hook)
    assert_heard_both_ways(listener, lambda: (listener(optimizer=SGD), line()[1]), max_epochs=1)


@pytest.mark.parametrize("hook", BEFORE_TRANSFER)
def test_data_is_called_before_the_step(hook: str) -> None:
    listener = listening(Line, hook)
    settings = {"noise": 0.3, "num_points": 35}
    assert_heard_both_ways(listener, lambda: (line()[0], listener(**settings)), max_epochs=1)


def test_what_data_does_after_the_transfer_is_done_the_short_way() -> None:
    listener = listening(Line, "on_after_batch_transfer")
    assert_both_ways_same(lambda: (line()[0], listener(noise=0.3, num_points=35)))
    assert listener.calls


@pytest.mark.parametrize(
    "settings",
    [
        {"gradient_clip_val": 0.1},
        {"accumulate_grad_batches": 2},
        {"precision": "bf16-mixed"},
        {"precision": "64-true"},
        {"profiler": "simple"},
    ],
)
def test_more_than_a_plain_step_is_done_as_lightning_does(settings: dict[str, Any]) -> None:
    made = assert_both_ways_same(line, short=False, **settings)
    assert not is_plain(made)


def test_the_ordinary_case_is_plain() -> None:
    assert is_plain(train(True, line))


def test_loaders_without_a_data_module_are_not_plain() -> None:
    model, data = line()
    data.setup("fit")
    made = trainer(True, [])
    made.fit(model, data.train_dataloader(), data.val_dataloader())
    assert made.global_step == 8
    assert made.fit_loop.epoch_loop.short == 0


class Bystander(torch.optim.SGD):
    """A user's optimizer, outside of torch.optim."""


def test_an_optimizer_of_the_users_own_goes_lightnings_way() -> None:
    made = assert_both_ways_same(partial(line, optimizer=partial(Bystander, lr=0.05)), short=False)
    assert not is_plain(made)


@pytest.mark.parametrize("first", [0, 1])
def test_accumulation_that_comes_and_goes_between_epochs(first: int) -> None:
    turns = {first: 2, first + 1: 1}
    made = [
        train(short, line, extra=[partial(GradientAccumulationScheduler, turns)], max_epochs=3)
        for short in (True, False)
    ]
    fast, slow = (evidence(one) for one in made)
    assert fast == slow
    assert 0 < made[0].fit_loop.epoch_loop.short < made[0].fit_loop.epoch_loop.total_batch_idx


class OwnStep(LogisticRegression):
    """A user's model, with half the loss."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) / 2


class Listed(BatchLoader):
    """A user's loader, whose batches are lists."""

    def __iter__(self) -> Any:
        return map(list, super().__iter__())


class OwnLoader(MNIST):
    """Data with such a loader."""

    def train_dataloader(self) -> Any:
        split = self.splits["train"]
        return Listed(split.x, split.y, split.indices, self.batch_size)


@pytest.mark.parametrize(
    ("model", "data", "short"),
    [
        ("LogisticRegression", "MNIST", True),
        ("tests.training.test_epoch_loop.OwnStep", "MNIST", False),
        ("LogisticRegression", "tests.training.test_epoch_loop.OwnLoader", False),
    ],
)
def test_the_command_line_goes_the_short_way_unless_step_or_loader_are_the_users_own(
    model: str, data: str, short: bool, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINENET_ALLOW", "tests.training.test_epoch_loop")
    steps, step = [], EpochLoop._step
    monkeypatch.setattr(EpochLoop, "_step", lambda *args: steps.append(1) or step(*args))
    run("fit", "--model", model, "--data", data, "--data.val_size", 50, "--data.batch_size", 50,
        "--trainer.max_epochs", 2, "--trainer.callbacks", "null")  # fmt: skip
    assert len(steps) == (10 if short else 0)
