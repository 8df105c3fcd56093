"""Each private name of Lightning and TensorBoard in `internals` does what is expected."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard.summary import scalar

from src.data import Line
from src.models import LinearRegression
from src.training import internals


def trainer(**options: Any) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(**{"logger": False, "enable_checkpointing": False, **quiet, **options})


def trained(**options: Any) -> Trainer:
    made = trainer(max_epochs=2, **options)
    made.fit(LinearRegression(), datamodule=Line())
    return made


def test_the_base_classes_equal_those_in_use() -> None:
    assert type(trainer().fit_loop.epoch_loop) is internals.TrainingEpochLoop
    for name in ("on_run_start", "advance", "_should_accumulate",
                 "_num_ready_batches_reached", "_should_check_val_fx"):  # fmt: skip
        assert callable(getattr(internals.TrainingEpochLoop, name))
    assert callable(internals.DataFetcher.__next__)


def test_each_batch_calls_the_start_end_and_metrics_of_the_connector() -> None:
    called: list[str] = []

    class Watch(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
            connector = trainer._logger_connector
            for name in ("on_batch_start", "on_batch_end", "update_train_step_metrics"):
                original = getattr(connector, name)
                vars(connector)[name] = lambda *a, n=name, o=original: (called.append(n), o(*a))

    trained(callbacks=[Watch()], limit_train_batches=1, limit_val_batches=0)
    assert called == ["on_batch_start", "on_batch_end", "update_train_step_metrics"] * 2
    connector = Mock(spec=type(trainer()._logger_connector))
    holder: Any = SimpleNamespace(_logger_connector=connector)
    internals.begin_batch(holder, "a batch")
    internals.end_batch(holder)
    internals.send_step_metrics(holder)
    assert [name for name, _, _ in connector.method_calls] == called[:3]


def test_log_works_within_a_hook_and_refuses_outside_of_one() -> None:
    refusals: list[str] = []

    class Log(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
            internals.enter_hook(pl_module, None)
            with pytest.raises(MisconfigurationException) as error:
                pl_module.log("outside", 1.0)
            refusals.append(str(error.value))
            internals.enter_hook(pl_module, "on_train_batch_start")
            pl_module.log("within", 1.0)

    made = trained(callbacks=[Log()], limit_train_batches=1, limit_val_batches=0)
    assert len(refusals) == 2
    assert "within" in made.callback_metrics
    assert "outside" not in made.callback_metrics


def test_the_trainer_of_a_model_is_none_before_training() -> None:
    model = LinearRegression()
    assert internals.trainer_of(model) is None
    made = trainer(max_epochs=1)
    made.fit(model, datamodule=Line())
    assert internals.trainer_of(model) is made


def test_lightning_registers_no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer()
    assert callable(made._signal_connector.register_signal_handlers)
    internals.keep_signal_handlers(made)
    registered: list[Any] = []
    monkeypatch.setattr("signal.signal", lambda *arguments: registered.append(arguments))
    made._signal_connector.register_signal_handlers()
    assert registered == []


def test_only_the_fit_loop_ends_its_restart() -> None:
    made = trainer()
    made.fit_loop.epoch_progress.current.ready = 1  # within an epoch
    made.fit_loop.restarting = True
    internals.end_restart(made)
    assert not made.fit_loop.restarting
    assert made.fit_loop.epoch_loop.restarting


def test_a_run_by_steps_is_resumed_at_the_start_of_an_epoch() -> None:
    made = trainer(max_steps=5)
    assert callable(made.fit_loop._iteration_based_training)
    internals.resume_at_epoch_start(made)
    assert made.fit_loop._iteration_based_training() is False


def test_the_step_of_the_curves_is_in_the_checkpoint(tmp_path: Path) -> None:
    made = trained()
    made.save_checkpoint(tmp_path / "x.ckpt")
    saved = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert internals.logger_step(saved) == made.global_step == 22


def test_the_batches_of_a_stretch_are_counted_as_lightning_counts_them() -> None:
    seen: list[tuple[Any, ...]] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            loop = trainer.fit_loop.epoch_loop
            fetcher = trainer.fit_loop._data_fetcher
            done = loop.batch_progress.is_last_batch
            seen.append((loop._batches_that_stepped + 1, fetcher.fetched, fetcher.done, done))

    made = trained(callbacks=[Watch()], limit_val_batches=0)
    loop, fetcher = made.fit_loop.epoch_loop, Mock(fetched=0, length=11, done=False)
    loop._batches_that_stepped = 11
    for batches, expected in ((4, seen[14]), (7, seen[21])):
        internals.count_batches(loop, fetcher, batches)
        loop._batches_that_stepped += 1  # by Lightning, after the last batch
        counted = loop._batches_that_stepped, fetcher.fetched, fetcher.done
        assert (*counted, loop.batch_progress.is_last_batch) == expected


def test_the_interval_of_a_checkpoint_callback_is_known() -> None:
    assert internals.saving_interval(ModelCheckpoint()) == float("inf")
    assert internals.saving_interval(ModelCheckpoint(every_n_train_steps=7)) == 7
    by_time = ModelCheckpoint(train_time_interval=timedelta(seconds=3))
    assert internals.saving_interval(by_time) == 0


def test_what_a_training_step_has_logged_is_forgotten() -> None:
    shown: list[bool] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            shown.append("train/loss" in trainer._logger_connector.metrics["log"])
            internals.forget_step_values(trainer)
            shown.append("train/loss" in trainer._logger_connector.metrics["log"])

    trained(callbacks=[Watch()], log_every_n_steps=1, limit_train_batches=1)
    assert shown == [True, False] * 2


def test_save_if_best_saves_at_a_step_that_is_not_due(tmp_path: Path) -> None:
    saver = ModelCheckpoint(tmp_path, monitor="val/loss", every_n_epochs=9, filename="{step}")
    made = trained(callbacks=[saver], enable_checkpointing=True)
    assert not saver.best_model_path
    for _ in range(2):  # the second time it is there already
        internals.save_if_best(saver, made)
        assert [path.name for path in tmp_path.iterdir()] == [f"step={made.global_step}.ckpt"]


def test_a_summary_reaches_the_event_file(tmp_path: Path) -> None:
    logger = TensorBoardLogger(str(tmp_path), name="x", version="y")
    internals.write_summary(SimpleNamespace(loggers=[logger]), scalar("a/b", 3.0), 7)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "x/y"))
    events.Reload()
    [tag] = events.Tags()["scalars"]
    assert [(tag, event.step, event.value) for event in events.Scalars(tag)] == [("a/b", 7, 3.0)]
