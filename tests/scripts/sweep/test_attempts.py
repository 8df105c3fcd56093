"""No trial is lost or counted twice, whichever worker is killed at which moment."""

import multiprocessing
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from scripts.sweep import presence
from scripts.sweep.attempts import (
    REASON,
    SURPLUS,
    counted,
    first_number,
    is_done,
    next_trial,
    repeat,
)
from scripts.sweep.presence import ALIVE, WORKER, Presence, Watch, running_of
from scripts.sweep.storage import open_storage
from scripts.sweep.study import sampler
from src.errors import UserError


def numbers(trials: list[FrozenTrial]) -> list[int]:
    return [first_number(trial) for trial in trials]


def test_a_killed_trial_is_repeated_with_settings_and_reports_and_counts_once() -> None:
    study = optuna.create_study()
    killed = study.ask()
    killed.suggest_float("x", 0, 1)
    killed.report(0.5, 1)
    repeat(study, killed.number)
    found = next_trial(study, total=1)
    assert found
    trial, stored = found
    assert trial.number == 1
    assert first_number(stored) == 0
    assert stored.params == killed.params
    assert stored.intermediate_values == {1: 0.5}
    study.tell(trial, 0.4)
    [last] = counted(study.trials)
    assert last.value == 0.4
    assert next_trial(study, total=1) is None


def test_a_trial_that_was_killed_before_it_could_be_repeated_is_replaced() -> None:
    study = optuna.create_study()
    study.tell(study.ask(), state=TrialState.FAIL)  # and the worker dies
    assert not counted(study.trials)
    assert next_trial(study, total=1)


def test_a_trial_that_failed_for_a_reason_counts() -> None:
    study = optuna.create_study()
    trial = study.ask()
    trial.set_user_attr(REASON, "no memory")
    study.tell(trial, state=TrialState.FAIL)
    assert numbers(counted(study.trials)) == [0]
    assert next_trial(study, total=1) is None


def test_of_two_workers_that_ask_for_the_last_trial_one_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = optuna.create_study()
    ask = study.ask
    monkeypatch.setattr(study, "ask", lambda: [ask(), ask()][1])  # another one asks just before
    assert next_trial(study, total=1) is None
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "FAIL"]
    assert study.trials[1].user_attrs == {REASON: SURPLUS}
    assert numbers(counted(study.trials)) == [0]
    monkeypatch.setattr(study, "ask", ask)
    assert next_trial(study, total=2)  # the dropped one does not count when more are wanted
    assert numbers(counted(study.trials)) == [0, 2]


def test_a_trial_without_a_sign_of_life_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    study, watch, now = optuna.create_study(), Watch(), [0.0]
    monkeypatch.setattr(presence.time, "monotonic", lambda: now[0])
    living, silent, own = study.ask(), study.ask(), study.ask()

    def dead_at(seconds: float) -> list[int]:
        now[0] = seconds
        return watch.dead(study.trials, [own.number])

    assert dead_at(0) == []
    living.set_user_attr(ALIVE, 1)
    assert dead_at(20) == []
    living.set_user_attr(ALIVE, 2)
    assert dead_at(31) == [silent.number]
    silent.set_user_attr(ALIVE, 1)  # its machine was asleep
    assert dead_at(40) == []
    assert dead_at(80) == [living.number, silent.number]


def hold(folder: Path) -> None:
    """Be a worker until killed."""
    with ExitStack() as stack:
        (folder / "name").write_text(Presence(folder, stack).name)
        time.sleep(60)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_worker_that_died_on_this_machine_is_noticed_at_once(tmp_path: Path) -> None:
    study = optuna.create_study()
    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path,))
    process.start()
    while not (tmp_path / "name").exists():
        time.sleep(0.01)
    with ExitStack() as stack:
        own = Presence(tmp_path, stack)
        assert [*own.dead()] == []
        process.kill()
        process.join()
        [worker] = own.dead()
        assert worker == (tmp_path / "name").read_text()
        assert [*own.dead()] == []
    study.ask().set_user_attr(WORKER, worker)
    study.ask().set_user_attr(WORKER, own.name)
    assert running_of(study.trials, worker) == [0]


def test_the_worker_that_was_taken_for_dead_changes_nothing() -> None:
    study = optuna.create_study()
    trial = study.ask()
    repeat(study, trial.number)
    with pytest.raises((ValueError, optuna.exceptions.UpdateFinishedTrialError)):
        study.tell(trial, 0.1)
    with pytest.raises(ValueError, match="Cannot tell a FAIL trial"):
        repeat(study, trial.number)  # nor is it repeated twice
    assert [one.state.name for one in study.trials] == ["FAIL", "WAITING"]


TOTAL = 24


def take_all(url: str, barrier: Any) -> None:
    """Take trials until none is left, and drop the first, as if killed."""
    study = optuna.load_study(study_name="one", storage=open_storage(url))
    barrier.wait()
    first = True
    while found := next_trial(study, TOTAL):
        trial, stored = found
        time.sleep(0.05)  # or one process would take all while the others wait for the lock
        if first:
            repeat(study, trial.number)
        else:
            study.tell(trial, float(first_number(stored)))
        first = False


@pytest.mark.parametrize("url", ["sqlite:///shared.db", "journal:shared.log"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_processes_share_the_trials_without_gap_or_double(url: str, tmp_path: Path) -> None:
    url = url.replace("shared", f"{tmp_path}/shared")
    optuna.create_study(study_name="one", storage=open_storage(url))
    context: Any = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    workers = [context.Process(target=take_all, args=(url, barrier)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    trials = optuna.load_study(study_name="one", storage=open_storage(url)).trials
    found = counted(trials, TOTAL)
    assert len(found) == len({*numbers(found)}) == TOTAL
    assert all(trial.state == TrialState.COMPLETE and is_done(trial) for trial in found)
    assert [trial.value for trial in found] == numbers(found)
    assert 1 <= sum("failed_trial" in trial.system_attrs for trial in trials) <= 3  # as load allows


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("shared.db", "expected sqlite:///FILE, journal:FILE or postgresql://"),
        ("postgresql://me:secret@127.0.0.1:9/x", "cannot be used"),
        ("sqlite:////proc/none/study.db", "cannot be used"),
        ("journal:/proc/none/study.log", "cannot be used"),
        ("mysql+nothing://127.0.0.1/x", "cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_refused_without_its_password(
    url: str, message: str
) -> None:
    with pytest.raises(UserError) as refused:
        open_storage(url)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(UserError, match="not a database"):
        open_storage(f"sqlite:///{tmp_path}/text.db")


def test_proposals_depend_on_seed_and_number_alone() -> None:
    def proposed(seed: int, before: int) -> list[float]:
        study = optuna.create_study(sampler=sampler("random", [], seed))
        found = []
        for number in range(6):
            if number == before:  # the sweep is interrupted, and goes on
                study.sampler = sampler("random", [], seed)
            trial = study.ask()
            found.append(trial.suggest_float("x", 0, 1))
            study.tell(trial, 0.0)
        return found

    assert proposed(0, before=3) == proposed(0, before=9)
    assert len({*proposed(0, 9), *proposed(1, 9)}) == 12
