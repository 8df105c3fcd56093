"""The seeds tool: numbers equal scipy's, a stopped command goes on, finished seeds stay."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from scripts.many.progress import epochs_done
from scripts.many.warm import cores
from scripts.seeds.__main__ import main
from scripts.seeds.summary import summary, told
from scripts.seeds.together import own_measures
from src.models import LogisticRegression
from src.plots.seeds import common, seed_curves
from tests.conftest import PROJECT

CONFIG = str(PROJECT / "configs/mnist_logistic.yaml")
ROOTS = ("whole", "stopped")
DATA = ["--data.val_size=50", "--data.verify=false"]
SMALL = ["--config", CONFIG, *DATA, "--trainer.max_epochs=2"]


def test_mean_deviation_and_interval_equal_those_of_scipy() -> None:
    values = [0.91, 0.915, 0.93, 0.902]
    found = summary(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found.n, found.mean, found.sd) == (
        4, pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)),
    )  # fmt: skip
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert told("test/acc", found) == ["test/acc", "91.42 ± 1.18 %", "89.55 % to 93.30 %"]


def test_one_seed_has_no_interval() -> None:
    assert told("test/mse", summary([0.5])) == ["test/mse", "0.5000", "needs two seeds"]


def test_curves_are_averaged_where_all_runs_have_points() -> None:
    epochs, table = common([([1, 2, 3], [1.0, 2.0, 3.0]), ([2, 3, 4], [4.0, 5.0, 6.0])])
    assert epochs.tolist() == [2, 3]
    assert table.tolist() == [[2, 3], [4, 5]]
    figure = seed_curves({"val/loss": [([1, 2], [0.4, 0.2]), ([1, 2], [0.6, 0.4])]})
    [axes] = figure.axes
    assert axes.lines[2].get_ydata().tolist() == pytest.approx([0.5, 0.3])


def test_a_model_that_measures_in_its_own_way_is_not_stacked() -> None:
    class Own(LogisticRegression):
        def measured(self, batch: Any, stage: str) -> Any:
            return super().measured(batch, stage)

    assert own_measures(Own()) == "a measured of your own"
    assert own_measures(LogisticRegression()) is None


@pytest.mark.parametrize("together", ["--no-together", "--together"])
def test_seeds_are_ordinary_runs_and_more_of_them_leave_the_finished(
    together: str, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("DATA_DIR", str(data_root))
    monkeypatch.chdir(tmp_path)
    main(["2", *SMALL, "--jobs=1", together])
    runs = tmp_path / "lightning_logs/seeds/version_0/mnist_logistic"
    first = {path: path.stat().st_mtime_ns for path in runs.glob("*/results.json")}
    assert len(first) == 2
    main(["3", *SMALL, "--jobs=2", together])
    results = [json.loads((runs / f"seed_{s}/results.json").read_text()) for s in range(3)]
    assert [one["seed"] for one in results] == [0, 1, 2]
    threads = max(1, cores() // 2)  # of --jobs=2, though only one seed was left
    assert f" {threads} thread" in results[2]["device"]
    assert all(path.stat().st_mtime_ns == then for path, then in first.items())
    record = json.loads((runs.parent / "seeds.json").read_text())
    scores = [one["metrics"]["test/acc"] for one in results]
    assert record["metrics"]["test/acc"]["mean"] == pytest.approx(np.mean(scores))
    assert len({one["metrics"]["test/loss"] for one in results}) == 3
    for name in ("curves.png", "report.html", "group.json"):
        assert (runs.parent / name).stat().st_size > 100
    assert "mnist_logistic, 3 seeds" in capfd.readouterr().out
    assert epochs_done(runs / "seed_2") == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["0", *SMALL], 2, "N"),
        (["2", *SMALL, "--seed_everything=3"], 2, "leave --seed_everything out"),
        (["2", *SMALL, "--model.optimizer.lrr=1"], 2, "lrr"),
        (["2", *SMALL, "--data.train_size=1000000"], 1, "--data.train_size"),
        (["2", *SMALL, "--resume=latest"], 2, "leave --resume out"),
        (["2", *SMALL, "--trainer.fast_dev_run=true"], 1, "--trainer.fast_dev_run True"),
        (["2", *SMALL, "--trainer.logger=false"], 1, "--trainer.logger False"),
        (["2", "--config", "none.yaml"], 2, "none.yaml"),
        ([], 2, "N"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_trained(
    words: list[str], code: int, message: str, data_root: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("DATA_DIR", str(data_root))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(words)
    errors = capfd.readouterr().err
    assert stop.value.code == code
    assert message in errors
    assert len([line for line in errors.splitlines() if line]) <= 3
    assert not list(tmp_path.rglob("results.json"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("together", ["--no-together", "--together"])
def test_a_stopped_command_goes_on(
    number: int, together: str, data_root: Path, tmp_path: Path
) -> None:
    """The seeds of a command that is stopped again and again end like those of another one."""
    words = ["-m", "scripts.seeds", "2", "--config", CONFIG, *DATA, together]
    words += ["--trainer.max_epochs=300", "--jobs=2", "--trainer.default_root_dir"]
    settings = {**os.environ, "DATA_DIR": str(data_root), "PYTHONPATH": str(PROJECT)}

    def command(root: str) -> subprocess.Popen[bytes]:
        line = [sys.executable, *words, str(tmp_path / root)]
        return subprocess.Popen(line, cwd=PROJECT, env=settings)

    assert command(ROOTS[0]).wait() == 0
    codes: list[int] = []
    for _ in range(3):
        began, process = time.time(), command(ROOTS[1])
        while process.poll() is None and not trains(tmp_path / ROOTS[1], began):
            time.sleep(0.02)
        process.send_signal(number)
        codes.append(process.wait())
    assert any(codes)  # stopped before its end
    assert command(ROOTS[1]).wait() == 0
    for seed in range(2):
        found = [next((tmp_path / root).rglob(f"seed_{seed}/results.json")) for root in ROOTS]
        one, other = (json.loads(path.read_text())["metrics"] for path in found)
        assert one == other


def trains(root: Path, since: float) -> bool:
    """Return whether a seed has logged something since a time."""
    return any(path.stat().st_mtime > since for path in root.rglob("curves.csv"))
