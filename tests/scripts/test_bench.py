"""The benchmark: equal losses, timed epochs, ratios, tables and recorded facts."""

import json
from argparse import Namespace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from scripts.bench import __main__ as bench
from scripts.bench import contenders
from scripts.bench.measurements import FACTS, Measurements, python, repeated_mnist
from scripts.shared.tables import markdown
from src.data.idx import read_idx
from tests.conftest import MNIST_FILES, PROJECT, REAL_DATA, toy_images, write_idx

CONFIGS = sorted((PROJECT / "configs").glob("mnist_*.yaml"))
README = PROJECT / "README.md"
LOGISTIC = PROJECT / "configs/mnist_logistic.yaml"


@pytest.fixture
def baselines(monkeypatch: pytest.MonkeyPatch, mnist: Path) -> ModuleType:
    monkeypatch.setenv("DATA_DIR", str(mnist))
    monkeypatch.setattr(contenders, "STEPS", 20)
    return contenders


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with 6,000 training images, of which 5,000 are for validation."""
    root = tmp_path_factory.mktemp("mnist")
    arrays = (*toy_images(6000, seed=1), *toy_images(100, seed=2))
    for name, array in zip(MNIST_FILES, arrays, strict=True):
        write_idx(root / "MNIST" / "raw" / name, array)
    return root


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_the_handwritten_loop_computes_the_losses_of_linenet(
    config: Path, baselines: ModuleType
) -> None:
    differences = list(baselines.difference(baselines.Task(config, 100, "cpu"), epochs=1))
    assert len(differences) == 20
    assert max(differences) < 1e-5


def test_other_initial_weights_give_other_losses(baselines: ModuleType) -> None:
    task = baselines.Task(LOGISTIC, 100, "cpu")
    with torch.no_grad():
        next(task.net.parameters()).mul_(1.01)
    assert max(baselines.difference(task, epochs=1)) > 1e-5


@pytest.mark.filterwarnings("ignore")  # Lightning's warnings about the template's data loader
@pytest.mark.parametrize("baseline", ["plain", "floor", "template", "loader"])
def test_a_baseline_times_each_of_its_epochs(baseline: str, baselines: ModuleType) -> None:
    run = baselines.BASELINES[baseline]
    seconds = list(run(baselines.Task(LOGISTIC, 100, "cpu"), epochs=2))
    assert len(seconds) == 2
    assert min(seconds) > 0


def test_no_times_are_measured_if_the_losses_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Namespace(model=["mnist_mlp"], rounds=1, epochs=1, accelerator="cpu", batch_size=100)
    run = Measurements(options, tmp_path)
    monkeypatch.setattr(run, "baseline", lambda *args: [0.0, 1e-4])
    with pytest.raises(SystemExit, match="with mnist_mlp, losses of linenet and the handwritten"):
        run.epochs()


def test_missing_mnist_files_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "loader"])
    with pytest.raises(SystemExit) as stop:
        bench.main()
    assert stop.value.code == 2
    assert "MNIST is not in" in capsys.readouterr().err
    assert not Path("lightning_logs").exists()


def test_ratios_are_medians_over_rounds() -> None:
    options = Namespace(model=[], rounds=3, epochs=1, accelerator="cpu", batch_size=100)
    times = {"plain": [1.0, 2.0, 3.0], "linenet": [2.0, 3.0, 9.0], "floor": [1.0, 1.0, 1.0]}
    times["template"] = [9.0, 9.0, 9.0]
    row = Measurements(options, Path())._compared("mnist_mlp", times)
    assert row["linenet / plain"] == 2.0
    assert row["template / linenet"] == 3.0
    assert row["plain"] == 2.0


def test_mnist_is_repeated_image_by_image(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(mnist))
    raw = repeated_mnist(tmp_path / "more", times=3) / "MNIST" / "raw"
    for name, dimensions in zip(MNIST_FILES[:2], (3, 1), strict=True):
        once = read_idx(mnist / "MNIST" / "raw" / name, dimensions).numpy()
        thrice = read_idx(raw / name, dimensions).numpy()
        np.testing.assert_array_equal(thrice, np.concatenate([once] * 3))
    assert (raw / MNIST_FILES[2]).read_bytes() == (
        mnist / "MNIST/raw" / MNIST_FILES[2]
    ).read_bytes()


def test_a_table_has_a_column_for_every_value() -> None:
    rows = [{"a": "x", "b": 1.23456}, {"a": "y", "c": 7}, {"test": 0.9912}]
    assert markdown(rows).splitlines() == [
        "| a | b | c | test |",
        "| --- | --- | --- | --- |",
        "| x | 1.23 |  |  |",
        "| y |  | 7 |  |",
        "|  |  |  | 99.12 % |",
    ]


@pytest.mark.slow
def test_the_record_names_machine_versions_and_commit() -> None:
    facts = json.loads(python("-c", FACTS))
    assert facts["versions"]["torch"] == version("torch")
    assert facts["device"]
    assert "git" in facts


@pytest.mark.slow
@pytest.mark.real_data
def test_the_bench_compares_epochs_and_writes_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", REAL_DATA)
    words = ["epochs", "start", "--model", "mnist_logistic", "--rounds", "1", "--epochs", "1"]
    monkeypatch.setattr("sys.argv", ["bench", *words])
    before = README.read_text()
    bench.main()
    [results_file] = Path("lightning_logs/bench").glob("*.json")
    found = json.loads(results_file.read_text())
    [row] = found["measured"]["epochs"]
    assert row["linenet / plain"] == pytest.approx(row["linenet"] / row["plain"])
    assert found["measured"]["start"][2]["measured"] > 0.5
    assert "torch" in found["versions"]
    assert README.read_text() == before  # updated by a run with default options only
