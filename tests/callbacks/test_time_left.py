"""The time left is that of a training of constant speed, by its nearest limit."""

from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import Timer

from src.callbacks.time_left import TimeLeft, in_words, share_done


def trainer(epoch: int, batch: int, **limits: Any) -> Any:
    """Return a trainer within a training of ten batches an epoch."""
    progress = SimpleNamespace(current=SimpleNamespace(ready=batch))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    usual = {"max_epochs": -1, "max_steps": -1, "callbacks": [], "num_training_batches": 10}
    return SimpleNamespace(
        current_epoch=epoch, global_step=10 * epoch + batch, fit_loop=loop, **{**usual, **limits}
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr("src.callbacks.time_left.time.perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"max_epochs": 5}, 35.0),  # 15 steps in 15 s, of 50
        ({"max_steps": 20}, 5.0),
        ({"max_epochs": 5, "max_steps": 20}, 5.0),
        ({"max_epochs": 5, "max_steps": 80}, 35.0),
        ({}, None),
    ],
)
def test_the_time_left_is_by_the_nearest_limit(
    limits: dict[str, int], left: float | None, clock: list[float]
) -> None:
    estimate = TimeLeft(trainer(0, 0, **limits))
    assert estimate.seconds(trainer(0, 0, **limits)) is None
    clock[0] += 15
    assert estimate.seconds(trainer(1, 5, **limits)) == pytest.approx(left)


def test_a_resumed_training_is_timed_from_where_it_goes_on(clock: list[float]) -> None:
    estimate = TimeLeft(trainer(2, 0, max_epochs=4))
    clock[0] += 3
    assert estimate.seconds(trainer(3, 0, max_epochs=4)) == pytest.approx(3)


def test_a_limit_of_time_counts(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Timer("00:00:00:09")
    monkeypatch.setattr(timer, "time_remaining", lambda: 7.0)
    estimate = TimeLeft(trainer(0, 0, max_epochs=5, callbacks=[timer]))
    clock[0] += 10
    assert estimate.seconds(trainer(1, 0, max_epochs=5, callbacks=[timer])) == 7


def test_a_loader_without_length_counts_whole_epochs() -> None:
    assert share_done(trainer(1, 7, max_epochs=4, num_training_batches=float("inf"))) == 0.25


def test_times_are_short() -> None:
    assert [in_words(s) for s in (0.4, 67, 750, 3720)] == ["0:00", "1:07", "12:30", "1:02:00"]
