"""Each run has its own folder, used by one process; `--resume latest` finds the newest."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from scripts.faults.processes import TOGETHER
from scripts.faults.runs import differences, kill, left, start, wait
from src.cli import main
from src.command.run_selection import Command, select_run
from src.errors import UserError
from src.runs.find import find, header
from src.runs.folders import locked, new_version
from src.runs.results import set_aside_results
from tests.conftest import PROJECT

LINE = ["fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=20"]
Run = Callable[..., dict[str, Any]]


@pytest.mark.slow
def test_runs_started_together_get_separate_folders() -> None:
    processes = [start(Path.cwd(), LINE, 10.0) for _ in range(TOGETHER)]
    assert [wait(process) for process in processes] == [0] * TOGETHER
    runs = sorted(Path("lightning_logs/line").iterdir())
    assert [run.name for run in runs] == [f"version_{n}" for n in range(TOGETHER)]
    assert all(left(run)["results"] == left(runs[0])["results"] for run in runs)
    assert not list(Path().rglob(".lock"))


def test_only_one_of_several_runs_can_use_the_same_folder() -> None:
    words = [*LINE, "--trainer.logger.version=mine", "--trainer.max_epochs=300"]
    processes = [start(Path.cwd(), words, 10.0) for _ in range(4)]
    codes = [wait(process) for process in processes]
    assert sorted(codes) == [0, 1, 1, 1]
    log = Path("log.txt").read_text()
    assert f"in use by process {processes[codes.index(0)]} on " in log
    assert left(Path("lightning_logs/line/mine"))["results"]["epochs"] == 300


def test_the_empty_folder_of_a_run_that_was_killed_at_once_is_used(run: Run) -> None:
    folder = Path("lightning_logs/line/mine")
    folder.mkdir(parents=True)
    for name in (".lock", ".lock-owner"):
        (folder / name).touch()
    run(*LINE, "--trainer.logger.version=mine")
    assert (folder / "results.json").is_file()
    assert not list(folder.glob(".lock*"))


def test_a_finished_run_is_not_overwritten(run: Run) -> None:
    run(*LINE, "--trainer.logger.version=mine")
    before = left(Path("lightning_logs/line/mine"))
    process = start(Path.cwd(), [*LINE, "--trainer.logger.version=mine"], 10.0)
    assert wait(process) == 1
    assert "exists already, and is not overwritten" in Path("log.txt").read_text()
    assert list(differences(left(Path("lightning_logs/line/mine")), before)) == []


def test_the_lock_of_a_killed_process_is_released() -> None:
    folder = Path("run")
    folder.mkdir()
    if not (process := os.fork()):
        with locked(folder):
            (folder / "here").touch()
            time.sleep(60)
    while not (folder / "here").exists():
        time.sleep(0.01)
    with pytest.raises(UserError, match=f"run is in use by process {process} on "), locked(folder):
        pass
    kill(process, signal.SIGKILL)
    wait(process)
    assert (folder / ".lock").exists()
    with locked(folder):
        assert str(os.getpid()) in (folder / ".lock-owner").read_text()
    assert [path.name for path in folder.iterdir()] == ["here"]


def test_an_unused_run_folder_is_removed() -> None:
    with ExitStack() as held:
        folder = new_version(Path("logs"), None, held)
        assert folder.exists()
    assert not folder.exists()


BEFORE_THE_FIRST_STEP = {
    "config.yaml": "a", "hparams.yaml": "a", "provenance.json": "a", "changes.diff": "a",
    "changes-2.diff": "a", "trackers.json": "a", "events.out.tfevents.1": "a",
    "curves.csv": "step,epoch,name,value\n", "metrics.csv": "epoch,step\n",
    "wandb/offline-run-1/run-1.wandb": "a",
}  # fmt: skip
RESULTS = {
    "results.json": "a", "curves.csv": "step,epoch,name,value\n0,0,a,1\n",
    "metrics.csv": "epoch,step\n0,1\n", "checkpoints/resume-step1.ckpt": "a",
}  # fmt: skip


@pytest.mark.parametrize("result", [None, *RESULTS])
def test_a_run_that_fails_before_its_first_step_leaves_no_folder(result: str | None) -> None:
    files = BEFORE_THE_FIRST_STEP | ({result: RESULTS[result]} if result else {})
    with suppress(ValueError), ExitStack() as held:
        folder = new_version(Path("logs"), None, held)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        (folder / "wandb/latest-run").symlink_to("offline-run-1")
        raise ValueError
    assert folder.exists() == bool(result)
    if result:
        assert all((folder / name).exists() for name in files)


@pytest.mark.parametrize("names", [[], ["version_0"], ["version_2", "version_10", "mine"]])
def test_a_new_run_gets_the_next_version_number(names: list[str]) -> None:
    for name in names:
        Path("logs", name).mkdir(parents=True)
    expected = {0: "version_0", 1: "version_1", 3: "version_11"}[len(names)]
    with ExitStack() as held:
        assert new_version(Path("logs"), None, held).name == expected


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    Path("logs").write_text("a file")
    with pytest.raises(UserError, match=r"A run folder in logs cannot be created: File exists"):
        new_version(Path("logs"), None, ExitStack())


def write_run(folder: str, command: str, age: float) -> Path:
    path = Path("lightning_logs", folder)
    (path / "checkpoints").mkdir(parents=True)
    (path / "config.yaml").write_text(header(command))
    saved = path / "checkpoints/resume-step00000001.ckpt"
    saved.touch()
    for file in (path / "config.yaml", saved):
        os.utime(file, (time.time() - age,) * 2)
    return path


def test_latest_is_the_fit_run_with_the_newest_checkpoint() -> None:
    older = write_run("line/version_1", "fit", age=20)
    newer = write_run("mnist_mlp/version_0", "fit", age=10)
    write_run("mnist_mlp/version_1", "test", age=0)
    assert find("latest", None, "--resume") == newer
    assert find("latest", "line", "--resume") == older
    assert find("latest", "mnist_lenet", "--resume") is None
    words = ["--config", "x/line.yaml", "--resume=latest", "--a=1"]
    found = ["--config", f"{older}/config.yaml"]
    assert select_run(Command("fit", words)) == (["fit", *found, *words], older)


def test_results_are_kept_when_a_run_is_extended(run: Run) -> None:
    words = ["--trainer.check_val_every_n_epoch=1", "--trainer.max_epochs"]
    run(*LINE, *words, "5")
    run("fit", "--resume", "latest", "--trainer.max_epochs", "9")
    folder = Path("lightning_logs/line/version_0")
    assert json.loads((folder / "results-epoch5.json").read_text())["epochs"] == 5
    assert json.loads((folder / "results.json").read_text())["epochs"] == 9


def test_results_are_set_aside_only_after_a_finished_test() -> None:
    folder = Path("run")
    folder.mkdir()

    def write_results(text: str, metrics: dict[str, float]) -> None:
        results = {"epochs": 2, "metrics": metrics, "is": text}
        (folder / "results.json").write_text(json.dumps(results))
        (folder / "report.html").write_text(text)
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures/curves.png").write_text(text)

    for text in ("first", "second"):  # both after two epochs
        write_results(text, {"test/loss": 0.1})
        set_aside_results(folder)
        assert json.loads((folder / "results-epoch2.json").read_text())["is"] == text
        assert (folder / "report-epoch2.html").read_text() == text
        assert (folder / "figures-epoch2/curves.png").read_text() == text
        assert not (folder / "figures").exists()
    write_results("killed before its test", {"val/loss": 0.1})
    set_aside_results(folder)
    assert (folder / "figures/curves.png").exists()
    assert (folder / "figures-epoch2/curves.png").read_text() == "second"


CALLBACKS = "--trainer.callbacks"
NAMED = {
    "checkpoint": ["--checkpoint.dirpath=ck"],
    "another": [f"{CALLBACKS}+=lightning.pytorch.callbacks.ModelCheckpoint",
                f"{CALLBACKS}.dirpath=ck"],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_folder_for_checkpoints_belongs_to_one_run(
    name: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", "--config", PROJECT / "configs/mnist_logistic.yaml", "--data.val_size=50",
             "--trainer.max_epochs=1", *NAMED[name]]  # fmt: skip
    metrics = run(*words)["metrics"]
    before = {path: path.read_bytes() for path in Path("ck").glob("*.ckpt")}
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert f"{Path('ck').resolve()} belongs to another run: it holds" in error
    assert {path: path.read_bytes() for path in Path("ck").glob("*.ckpt")} == before
    folder = Path("lightning_logs/mnist_logistic/version_0")
    tested = run("test", "--run", folder)["metrics"]
    assert tested == {k: v for k, v in metrics.items() if k.startswith("test/")}
    (folder / "results.json").unlink()
    assert run("fit", "--resume", folder)["metrics"] == metrics
