"""The short training step equals Lightning's own step, bit for bit."""

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
from src.training.epoch_loop import EpochLoop
from src.training.obstacle import obstacle

Records = list[tuple[Any, ...]]
SCHEDULERS = torch.optim.lr_scheduler
SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
ONE_CYCLE = {"scheduler": partial(SCHEDULERS.OneCycleLR, max_lr=0.1), "scheduler_interval": "step"}
STEPPED = {"scheduler": partial(SCHEDULERS.StepLR, step_size=1, gamma=0.5)}
PLATEAU = {"scheduler": partial(ReduceLROnPlateau, monitor="val/loss", patience=0)}


class CountingLoop(EpochLoop):
    """Counts the short steps, and those that no callback listens to."""

    short = unheard = 0

    def _unheard_step(self, *args: Any) -> None:
        self.unheard += 1
        super()._unheard_step(*args)

    def _counted(self, *args: Any) -> Tensor:
        self.short += 1
        return super()._counted(*args)


class Recorder(Callback):
    """Records what a callback can see at the start and end of a step."""

    def __init__(self) -> None:
        self.records: Records = []

    def on_train_batch_start(self, trainer: Trainer, model: Model, batch: Any, index: int) -> None:
        self.records.append(("start", index, plain(batch), *trainer_state(trainer)))

    def on_train_batch_end(
        self, trainer: Trainer, model: Model, outputs: Any, batch: Any, index: int
    ) -> None:
        assert not outputs["loss"].requires_grad
        self.records.append(("end", index, plain(outputs), plain(batch), *trainer_state(trainer)))


class LogsValues(Callback):
    """Logs two values after each step."""

    def on_train_batch_end(self, *args: Any) -> None:
        _, model, outputs, _, index = args
        model.log("own/step", outputs["loss"] + index, on_step=True, prog_bar=True)
        model.log("own/epoch", outputs["loss"] * index, on_step=False, on_epoch=True, batch_size=1)


class MemoryLogger(Logger):
    """Stores logged values in a list."""

    name, version = "memory", 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: Records = []

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.lines.append((dict(metrics), step))


def trainer_state(trainer: Trainer) -> tuple[Any, ...]:
    """Return counters, learning rate, and whether this is the last batch."""
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
    made = Trainer(**{**usual, "logger": MemoryLogger(), "callbacks": callbacks, **settings})
    made.fit_loop.epoch_loop = (CountingLoop if short else EpochLoop)(made, not short)
    return made


def outcome(made: Trainer) -> dict[str, Any]:
    """Return all results of a training, except the counter of `zero_grad`."""
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
        "logged": [line for logger in made.loggers for line in merged(logger.lines)],
        "records": [entry for c in made.callbacks for entry in getattr(c, "records", [])],
        "random": torch.get_rng_state().tolist(),
    }


def merged(lines: Records) -> Records:
    """Return lines that were logged at the same step as one."""
    found: Records = []
    for metrics, step in lines:
        if found and found[-1][1] == step and found[-1][0].get("epoch") == metrics.get("epoch"):
            found[-1] = (found[-1][0] | metrics, step)
        else:
            found.append((metrics, step))
    return found


Make = Callable[[], tuple[Model, TensorData]]


def train(short: bool, make: Make, ckpt: Path | None = None, **settings: Any) -> Trainer:
    torch.manual_seed(0)
    model, data = make()
    callbacks = [
        *[Recorder()] * settings.pop("recorded", True),
        *(kind() for kind in settings.pop("extra", [])),
    ]
    made = trainer(short, callbacks, **settings)
    made.fit(model, datamodule=data, ckpt_path=ckpt, weights_only=False if ckpt else None)
    return made


def assert_same(one: Trainer, other: Trainer) -> None:
    first, second = outcome(one), outcome(other)
    assert first["logged"]
    assert first["records"]
    for name, value in first.items():
        assert value == second[name], name


def assert_same_both_ways(make: Make, short: bool = True, **settings: Any) -> Trainer:
    """Train with and without short steps, compare, and return the trainer with short steps."""
    fast, slow = train(True, make, **settings), train(False, make, **settings)
    assert fast.fit_loop.epoch_loop.short == (fast.global_step if short else 0)
    assert fast.global_step > 0
    assert_same(slow, fast)
    assert not fast.fit_loop.epoch_loop.unheard
    if short:
        assert_stretches_are_the_same(make, outcome(fast), **settings)
    return fast


def assert_stretches_are_the_same(make: Make, expected: dict[str, Any], **settings: Any) -> None:
    """Train without a callback that listens to each step, and compare."""
    made = train(True, make, recorded=False, **settings)
    found = outcome(made)
    assert made.fit_loop.epoch_loop.unheard == (0 if settings.get("extra") else made.global_step)
    for name in expected.keys() - {"records"}:
        assert found[name] == expected[name], name


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
def test_image_models_train_the_same_both_ways(make: Callable[..., Any], data_root: Path) -> None:
    assert_same_both_ways(partial(make, data_root))


LBFGS = partial(torch.optim.LBFGS, lr=0.5, max_iter=4)
CASES = {
    "plain": ({}, {}),
    "one cycle by step": (ONE_CYCLE, {}),
    "one step by epoch": (STEPPED, {}),
    "plateau": (PLATEAU, {}),
    "validation within the epoch": ({}, {"val_check_interval": 2}),
    "a part of the epoch": (ONE_CYCLE, {"limit_train_batches": 3}),
    "no validation": ({}, {"limit_val_batches": 0}),
    "stopped within the epoch": (STEPPED, {"max_steps": 6}),
    "the same batch": ({}, {"overfit_batches": 1, "log_every_n_steps": 1}),
    "a callback that logs": ({}, {"extra": [LogsValues]}),
}


@pytest.mark.filterwarnings("ignore:You requested to overfit")
@pytest.mark.parametrize("case", CASES)
def test_a_line_trains_the_same_both_ways(case: str) -> None:
    model, settings = CASES[case]
    assert_same_both_ways(partial(line, **model), **settings)


class Peeks(Callback):
    """Reads the training data on its own, before and during the training."""

    def on_train_start(self, trainer: Trainer, model: Model) -> None:
        assert len(list(trainer.train_dataloader)) == trainer.num_training_batches

    def on_validation_end(self, trainer: Trainer, model: Model) -> None:
        next(iter(trainer.train_dataloader))


class StopsEarly(Callback):
    """Stops in the first epoch; min_steps makes training go on until then."""

    def on_train_epoch_start(self, trainer: Trainer, model: Model) -> None:
        trainer.should_stop = True


class LogsMeans(LinearRegression):
    """A user's model that logs means over an epoch in its own step."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.log("own/mean", loss, on_step=False, on_epoch=True)
        return loss


@pytest.mark.parametrize("settings", [
    {"extra": [Peeks]},
    {"extra": [StopsEarly], "min_steps": 6, "max_epochs": 5},
])  # fmt: skip
def test_stretches_end_where_single_steps_end(settings: dict[str, Any]) -> None:
    alone, single = (
        outcome(train(short, line, recorded=False, **settings)) for short in (True, False)
    )
    for name in ("weights", "optimizer", "steps", "epochs", "progress"):
        assert alone[name] == single[name], name


def test_a_schedule_with_a_frequency_is_kept() -> None:
    class Seldom(LinearRegression):
        def configure_optimizers(self) -> Any:
            made = super().configure_optimizers()
            made["lr_scheduler"]["frequency"] = 3
            return made

    def make() -> tuple[Model, TensorData]:
        return Seldom(optimizer=SGD, **ONE_CYCLE), Line(noise=0.3, num_points=35)

    alone, single = (outcome(train(short, make, recorded=False)) for short in (True, False))
    assert alone["progress"] == single["progress"]
    assert alone["weights"] == single["weights"]


def test_means_that_a_training_step_logs_are_kept() -> None:
    def make() -> tuple[Model, TensorData]:
        return LogsMeans(optimizer=SGD), Line(noise=0.3, num_points=35)

    made = train(False, make, recorded=False)
    losses = [metrics["own/mean"] for metrics, _ in made.logger.lines if "own/mean" in metrics]
    assert len(losses) == 2


@pytest.mark.parametrize("hook", ["on_train_batch_start", "on_train_batch_end"])
def test_a_saver_with_hooks_of_its_own_listens_to_each_batch(hook: str) -> None:
    called: list[int] = []
    saver = type("Mine", (ModelCheckpoint,), {hook: lambda self, *args: called.append(1)})
    made = train(True, line, recorded=False, extra=[saver], enable_checkpointing=True)
    assert len(called) == made.global_step


def test_lbfgs_trains_the_same_both_ways() -> None:
    make = partial(line, optimizer=LBFGS)
    fast, slow = (outcome(train(short, make)) for short in (True, False))
    del fast["records"], slow["records"]
    assert fast == slow


def test_callbacks_get_the_same_loss_of_lbfgs_both_ways() -> None:
    assert_same_both_ways(partial(line, optimizer=LBFGS))


def test_values_logged_by_a_callback_reach_the_logger_in_short_steps() -> None:
    made = train(True, line, extra=[LogsValues])
    names = {name for metrics, _ in made.logger.lines for name in metrics}
    assert {"own/step", "own/epoch"} <= names


def test_the_short_step_omits_only_the_count_of_zero_grad() -> None:
    fast, slow = (train(short, line).fit_loop.state_dict() for short in (True, False))
    name = "epoch_loop.automatic_optimization.optim_progress"
    counts = [state[name]["optimizer"].pop("zero_grad")["total"] for state in (fast, slow)]
    assert counts[0] == {"ready": 0, "started": 0, "completed": 0}
    assert counts[1] == {"ready": 8, "started": 8, "completed": 8}
    assert fast == slow


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
@pytest.mark.parametrize("first", [{"max_epochs": 1}, {"max_steps": 6}])
@pytest.mark.parametrize("crossed", [False, True])
def test_resumed_training_is_the_same_both_ways(
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
def test_training_resumed_from_each_checkpoint_is_the_same_both_ways(
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


# Not imported from src.training.epoch_loop, so that a hook missing there fails a test.
CALLED = ["on_before_backward", "on_before_optimizer_step"]
IN_STEP = ["on_before_zero_grad", "on_after_backward"]
BEFORE_TRANSFER = ["on_before_batch_transfer", "transfer_batch_to_device"]
OF_MODEL = ["on_after_batch_transfer", "on_train_batch_start", "on_train_batch_end", "backward",
            "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping"]  # fmt: skip


def overriding(base: type, hook: str) -> type:
    """Return a subclass that overrides a hook to record its calls."""

    def overridden(self: Any, *args: Any, **kwargs: Any) -> Any:
        made.calls.append(hook)
        return getattr(super(made, self), hook)(*args, **kwargs)

    made: Any = type("Overriding", (base,), {hook: overridden, "calls": []})
    return made


def assert_called_both_ways(recorder: Any, make: Make, **settings: Any) -> None:
    counts = []
    for short in (True, False):
        recorder.calls.clear()
        made = train(short, make, **settings)
        counts.append(len(recorder.calls))
        assert not (short and made.fit_loop.epoch_loop.short)
    assert counts[0] == counts[1] >= made.global_step
    assert_same_both_ways(make, short=False, **settings)


@pytest.mark.parametrize("hook", IN_STEP)
def test_callback_hooks_are_called_in_lightnings_step(hook: str) -> None:
    recorder = overriding(Callback, hook)
    assert_called_both_ways(recorder, line, extra=[recorder], max_epochs=1)


@pytest.mark.parametrize("hook", CALLED)
def test_callback_hooks_are_called_in_the_short_step(hook: str) -> None:
    recorder = overriding(Callback, hook)
    made = assert_same_both_ways(line, extra=[recorder], max_epochs=1)
    assert len(recorder.calls) == 3 * made.global_step


@pytest.mark.filterwarnings("ignore:You have overridden `.*_transfer")
@pytest.mark.filterwarnings("ignore:You have overridden `transfer_batch_to_device")
@pytest.mark.parametrize("hook", [*CALLED, *IN_STEP, *BEFORE_TRANSFER, *OF_MODEL])
def test_model_hooks_are_called_in_lightnings_step(hook: str) -> None:
    recorder = overriding(LinearRegression, hook)
    assert_called_both_ways(recorder, lambda: (recorder(optimizer=SGD), line()[1]), max_epochs=1)


@pytest.mark.parametrize("hook", BEFORE_TRANSFER)
def test_data_hooks_are_called_in_lightnings_step(hook: str) -> None:
    recorder = overriding(Line, hook)
    settings = {"noise": 0.3, "num_points": 35}
    assert_called_both_ways(recorder, lambda: (line()[0], recorder(**settings)), max_epochs=1)


def test_on_after_batch_transfer_is_called_in_the_short_step() -> None:
    recorder = overriding(Line, "on_after_batch_transfer")
    assert_same_both_ways(lambda: (line()[0], recorder(noise=0.3, num_points=35)))
    assert recorder.calls


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
def test_other_settings_use_lightnings_step(settings: dict[str, Any]) -> None:
    made = assert_same_both_ways(line, short=False, **settings)
    assert obstacle(made)


def test_default_settings_are_plain() -> None:
    assert obstacle(train(True, line)) is None


def test_loaders_without_a_data_module_are_not_plain() -> None:
    model, data = line()
    data.setup("fit")
    made = trainer(True, [])
    made.fit(model, data.train_dataloader(), data.val_dataloader())
    assert made.global_step == 8
    assert made.fit_loop.epoch_loop.short == 0


class OwnOptimizer(torch.optim.SGD):
    """A user's optimizer, outside of torch.optim."""


def test_a_users_optimizer_uses_lightnings_step() -> None:
    make = partial(line, optimizer=partial(OwnOptimizer, lr=0.05))
    made = assert_same_both_ways(make, short=False)
    assert obstacle(made)


@pytest.mark.parametrize("first", [0, 1])
def test_accumulation_in_one_epoch_only(first: int) -> None:
    schedule = {first: 2, first + 1: 1}
    made = [
        train(short, line, extra=[partial(GradientAccumulationScheduler, schedule)], max_epochs=3)
        for short in (True, False)
    ]
    fast, slow = (outcome(one) for one in made)
    assert fast == slow
    assert 0 < made[0].fit_loop.epoch_loop.short < made[0].fit_loop.epoch_loop.total_batch_idx


class OwnStep(LogisticRegression):
    """A user's model that halves the loss."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) / 2


class ListLoader(BatchLoader):
    """A user's loader whose batches are lists."""

    def __iter__(self) -> Any:
        return map(list, super().__iter__())


class OwnLoader(MNIST):
    """Data with a `ListLoader`."""

    def train_dataloader(self) -> Any:
        split = self.splits["train"]
        return ListLoader(split.x, split.y, split.indices, self.batch_size)


@pytest.mark.parametrize(
    ("model", "data", "short"),
    [
        ("LogisticRegression", "MNIST", True),
        ("tests.training.test_epoch_loop.OwnStep", "MNIST", False),
        ("LogisticRegression", "tests.training.test_epoch_loop.OwnLoader", False),
    ],
)
def test_the_command_line_uses_short_steps_unless_step_or_loader_is_the_users(
    model: str, data: str, short: bool, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINENET_ALLOW", "tests.training.test_epoch_loop")
    steps, step = [], EpochLoop._counted
    monkeypatch.setattr(EpochLoop, "_counted", lambda *args: steps.append(1) or step(*args))
    run("fit", "--model", model, "--data", data, "--data.val_size", 50, "--data.batch_size", 50,
        "--trainer.max_epochs", 2, "--trainer.callbacks", "null")  # fmt: skip
    assert len(steps) == (10 if short else 0)
