"""A run is the same with every logger, with several and with none: folder, curves, resuming."""

import csv
import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from packaging.requirements import Requirement

from scripts.faults.runs import content, differences
from src.cli import main
from src.command.failures import TRACKERS, user_error
from src.command.run_loggers import keep_rows
from src.places import to_install
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
FIT = ["fit", "--config", str(PROJECT / "configs/mnist_logistic.yaml"), "--data.val_size=50",
       "--data.batch_size=50", "--trainer.max_epochs=2",
       "--trainer.log_every_n_steps=2"]  # fmt: skip
FOLDER = Path("lightning_logs/mnist_logistic/version_0")
LOGGER, STUB = "--trainer.logger", "tests.command.test_run_loggers.Tracker"
LOGGERS = {
    "none": [f"{LOGGER}=false"],
    "the usual": [f"{LOGGER}=true"],
    "CSV": [f"{LOGGER}=CSVLogger"],
    "both": [f"{LOGGER}+=CSVLogger"],
    "a tracker": [f"{LOGGER}={STUB}"],
    "a tracker, too": [f"{LOGGER}+={STUB}"],
}
FAST = ("none", "both")


class Tracker(Logger):
    """A logger without a folder and a `name` of its own, as MLFlow and Comet have."""

    name, version = "Default", "6f3a"
    points: list[tuple[str, int | None]] = []

    def __init__(self, experiment_name: str = "lightning_logs", save_dir: str = "./mlruns") -> None:
        super().__init__()

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.points.extend((name, step) for name in metrics)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...


def left(folder: Path) -> dict[str, Any]:
    """Return what a run has left: metrics, curves, and its best checkpoint."""
    results = json.loads((folder / "results.json").read_text())
    assert results["config"] == "mnist_logistic"
    best = Path(results["best_checkpoint"])
    assert best.parent == folder / "checkpoints"
    curves = (folder / "curves.csv").read_text()
    return {"metrics": results["metrics"], "curves": curves, best.name: content(best)}


@pytest.fixture
def expected(run: Run, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a run with the usual logger leaves."""
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    run(*FIT)
    found = left(FOLDER)
    shutil.rmtree("lightning_logs")
    return found


@pytest.mark.filterwarnings("ignore:Resuming elsewhere")
@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in LOGGERS]
)
def test_a_run_and_its_resumption_do_not_depend_on_the_loggers(
    name: str, expected: dict[str, Any], snapshots: list[Path], run: Run
) -> None:
    words = [*FIT, *LOGGERS[name], "--resume=latest"]
    run(*words)
    assert list(differences(left(FOLDER), expected)) == []
    rows = metrics_csv()
    shutil.rmtree("lightning_logs")
    FOLDER.parent.mkdir(parents=True)
    snapshots[len(snapshots) // 2].rename(FOLDER)
    run(*words)
    assert list(differences(left(FOLDER), expected)) == []
    assert metrics_csv() == rows
    assert [path.name for path in FOLDER.parent.iterdir()] == ["version_0"]
    loggers = yaml.safe_load((FOLDER / "config.yaml").read_text())["trainer"]["logger"]
    assert len(loggers if isinstance(loggers, list) else [loggers]) == 1 + ("+=" in str(words))


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_a_row_that_a_kill_has_cut_is_dropped(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    whole = "epoch,step,val/acc\n0,9,0.5\n1,19,0.75\n"
    for cut in ("", "1,", "1,2", "1,29,0.8", ","):
        Path(logger.log_dir, "metrics.csv").write_text(whole + cut)
        keep_rows(made := CSVLogger(tmp_path, name="", version=""), purge_step=19)
        assert Path(made.log_dir, "metrics.csv").read_text() == "epoch,step,val/acc\n0,9,0.5\n"


class Nameless(TensorBoardLogger):
    """A user's logger whose name cannot be chosen."""

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)


def test_a_logger_that_cannot_write_into_the_run_folder_is_named(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    kind = "tests.command.test_run_loggers.Nameless"
    with pytest.raises(SystemExit) as stop:
        run(*FIT, f"{LOGGER}={kind}", f"{LOGGER}.save_dir=x")
    assert stop.value.code == 1
    assert f"{kind} cannot write into the run folder" in capsys.readouterr().err


def metrics_csv() -> list[dict[str, str]]:
    """Return the rows of CSVLogger; none if it is not used."""
    path = FOLDER / "metrics.csv"
    return [*csv.DictReader(path.read_text().splitlines())] if path.exists() else []


@pytest.mark.parametrize("name", ["none", "a tracker"])
def test_a_run_is_evaluated_and_repeated_under_its_name(
    name: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    monkeypatch.setattr(Tracker, "points", [])
    metrics = run(*FIT, *LOGGERS[name])["metrics"]
    tested = run("test", "--run", FOLDER)["metrics"]
    assert tested == {k: v for k, v in metrics.items() if k.startswith("test/")}
    assert (FOLDER / "test/results.json").is_file()
    assert run("fit", "--config", FOLDER / "config.yaml")["metrics"] == metrics
    assert (FOLDER.parent / "version_1/results.json").is_file()
    assert ("val/acc", 9) in Tracker.points or name == "none"


@pytest.mark.parametrize("key", ["save_dir=elsewhere", "name=mine", "version=3"])
def test_two_loggers_with_two_folders_are_refused(
    key: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("c.yaml").write_text(
        "trainer: {logger: [{class_path: TensorBoardLogger, init_args: {save_dir: lightning_logs,"
        " name: its, version: 2}}, {class_path: CSVLogger, init_args: {save_dir: lightning_logs}}]}"
    )
    with pytest.raises(SystemExit) as stop:
        main([*FIT, "--config", "c.yaml", f"{LOGGER}.{key}"])
    assert stop.value.code == 1
    assert f"Loggers with several values of {key.partition('=')[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("operator", ["=", "+="])
@pytest.mark.parametrize("name", ["MLFlow", "Wandb", "Comet"])
def test_a_logger_whose_package_is_missing_is_refused_with_the_line_to_type(
    name: str, operator: str, run: Run,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    module = f"lightning.pytorch.loggers.{name.lower()}"
    for flag in ("_MLFLOW_AVAILABLE", "_MLFLOW_SKINNY_AVAILABLE", "_WANDB_AVAILABLE",
                 "_COMET_AVAILABLE"):  # fmt: skip
        monkeypatch.setattr(f"{module}.{flag}", Missing(), raising=False)
    with pytest.raises(SystemExit) as stop:
        main([*FIT, f"{LOGGER}{operator}{name}Logger"])
    assert stop.value.code == 1
    assert "To install it: pip install -U 'package>=1'; or" in capsys.readouterr().err
    assert not Path("lightning_logs").exists()


@pytest.mark.parametrize("extra", TRACKERS)
def test_the_package_of_an_overlay_is_installed_as_an_extra(extra: str) -> None:
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert [Requirement(line).name for line in pyproject["optional-dependencies"][extra]] == [extra]
    hint = f"Requirement 'a' not met. HINT: Try running `pip install -U '{extra}>=1.0'`"
    told = f"Requirement 'a' not met.\nTo install it: {to_install(extra)}; or leave it out."
    assert user_error(ModuleNotFoundError(hint)) == told


class Missing:
    """What Lightning asks whether a package is installed."""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "Requirement 'package>=1' not met. HINT: Try running `pip install -U 'package>=1'`"
