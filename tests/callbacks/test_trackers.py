"""A run is one run in a tracker, also if it is resumed; its evaluations are none."""

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.callbacks.trackers import called, noted, placed
from src.cli import main
from src.errors import UserError
from src.places import to_install
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
LINE = ("fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=2",
        "--trainer.check_val_every_n_epoch=1")  # fmt: skip
FOLDER = Path("lightning_logs/line/version_0")


def overlay(name: str) -> tuple[str, str]:
    return "--config", str(PROJECT / f"configs/with/{name}.yaml")


class FakeRun:
    """What `trackio.init` returns; a run is stored when its points are written."""

    stored: set[str] = set()

    def __init__(self, **options: Any) -> None:
        self.options, self.name, self.config = options, options["name"], dict[str, Any]()
        self.points: list[tuple[str, int | None]] = []
        self.finished: list[int | None] = []
        if options["resume"] == "must" and options["name"] not in self.stored:
            raise ValueError(f"run {options['name']} does not exist")

    def log(self, metrics: dict[str, float], step: int | None) -> None:
        self.points += [(name, step) for name in metrics]

    def finish(self, exit_code: int | None = None) -> None:
        self.finished.append(exit_code)
        self.stored.add(self.name)


@pytest.fixture
def tracked(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """The runs of a stand-in for the package trackio."""
    runs: list[FakeRun] = []
    monkeypatch.setattr(FakeRun, "stored", set())

    def init(**options: Any) -> FakeRun:
        runs.append(FakeRun(**options))
        return runs[-1]

    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(init=init))
    return runs


def test_a_resumed_run_goes_on_in_its_tracker_and_a_test_of_it_does_not(
    run: Run, tracked: list[FakeRun]
) -> None:
    run(*LINE, *overlay("trackio"))
    run("fit", "--resume", FOLDER, "--trainer.max_epochs=3")
    run("test", "--run", FOLDER)
    named = {"project": "linenet", "name": "line/version_0"}
    assert [one.options for one in tracked] == [
        {**named, "resume": "never"}, {**named, "resume": "allow"}
    ]  # fmt: skip
    assert [one.finished for one in tracked] == [[None], [None]]
    assert {"val/mse", "test/mse", "train/loss"} < {name for name, _ in tracked[0].points}
    assert tracked[0].config["optimizer"] == "SGD"
    assert json.loads((FOLDER / "trackers.json").read_text()) == {"TrackioLogger": "line/version_0"}
    assert list(FOLDER.glob("events.out.*"))  # beside TensorBoard


def test_a_run_that_its_tracker_has_not_stored_is_resumed(
    run: Run, tracked: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*LINE, *overlay("trackio"))
    FakeRun.stored.clear()  # as after a kill before its first points were written
    (FOLDER / "results.json").unlink()
    assert run("fit", "--resume", FOLDER)["metrics"]
    assert [one.name for one in tracked] == ["line/version_0"] * 2


def test_a_run_that_an_error_ends_has_failed(
    tracked: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise UserError("no")

    monkeypatch.setattr("src.callbacks.finite_guard.FiniteGuard.on_train_start", fail)
    with pytest.raises(SystemExit):
        main([*LINE, *overlay("trackio")])
    assert [one.finished for one in tracked] == [[1]]
    assert not FOLDER.exists()


class WandbLogger:  # no Logger, or the parser would find two of this name
    """Takes the arguments of Lightning's."""

    def __init__(
        self, name: str | None = None, save_dir: str = ".", version: str | None = None, **more: Any
    ) -> None:
        self.given = {"name": name, "save_dir": save_dir, "version": version, **more}


@pytest.mark.parametrize("chosen", [{}, {"save_dir": "x"}, {"reinit": "return_previous"}])
def test_what_the_user_has_chosen_of_a_tracker_is_kept(chosen: dict[str, Any]) -> None:
    defaults = {"name": None, "save_dir": ".", "version": None}
    expected = {"name": "line/version_0", "save_dir": FOLDER, "reinit": "create_new"}
    made = placed(WandbLogger(), {**defaults, **chosen}, FOLDER, False)
    assert isinstance(made, WandbLogger)
    assert made.given == {**defaults, **expected, **chosen}


def test_a_run_is_known_to_trackers_that_it_once_had(run: Run, tracked: list[FakeRun]) -> None:
    run(*LINE, *overlay("trackio"))
    (FOLDER / "trackers.json").write_text('{"WandbLogger": "a", "TrackioLogger": "line/version_0"}')
    run("fit", "--resume", FOLDER, "--trainer.max_epochs=3")
    assert noted(FOLDER) == {"WandbLogger": "a", "TrackioLogger": "line/version_0"}


def test_two_trackers_of_one_class_are_refused(
    tracked: list[FakeRun], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*LINE, *overlay("trackio"), "--trainer.logger+=TrackioLogger",
              "--trainer.logger.project=other"])  # fmt: skip
    assert "--trainer.logger has TrackioLogger 2 times; expected one." in capsys.readouterr().err
    assert not FOLDER.exists()


def test_a_missing_package_is_named_with_the_line_to_type(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(SystemExit) as stop:
        main([*LINE, *overlay("trackio")])
    assert stop.value.code == 1
    assert f"To install it: {to_install('trackio')}; or leave it out." in capsys.readouterr().err
    assert not Path("lightning_logs").exists()


def test_a_run_has_its_path_for_a_name() -> None:
    assert called(Path("/a/lightning_logs/seeds/version_0/line/seed_1")) == (
        "seeds/version_0/line/seed_1"
    )
    assert called(Path("/a/b/line/version_3")) == "line/version_3"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_keeps_one_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run(*LINE, *overlay("wandb"))
    run("fit", "--resume", FOLDER, "--trainer.max_epochs=3")
    ids = {path.name.rpartition("-")[2] for path in FOLDER.glob("wandb/offline-run-*")}
    assert ids == {json.loads((FOLDER / "trackers.json").read_text())["WandbLogger"]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_keeps_one_run_in_a_file(run: Run) -> None:
    pytest.importorskip("mlflow")
    run(*LINE, *overlay("mlflow"))
    run("fit", "--resume", FOLDER, "--trainer.max_epochs=3")
    database = sqlite3.connect("lightning_logs/mlflow.db")
    assert database.execute("select name, status from runs").fetchall() == [
        ("line/version_0", "FINISHED")
    ]
    points = database.execute("select distinct step from metrics where key = 'val/mse'").fetchall()
    assert len(points) == 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trackio_keeps_one_run_in_a_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", "trackio")
    pytest.importorskip("trackio")
    run(*LINE, *overlay("trackio"))
    run("fit", "--resume", FOLDER, "--trainer.max_epochs=3")
    import trackio.utils

    database = sqlite3.connect(Path(trackio.utils.TRACKIO_DIR, "linenet.db"))
    runs = database.execute("select distinct run_name, run_id from metrics").fetchall()
    assert [name for name, _ in runs if name == "line/version_0"] == ["line/version_0"]
