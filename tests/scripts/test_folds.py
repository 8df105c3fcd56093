"""Folds: predictions, metrics and the ensemble equal numpy and scikit-learn; kills lose nothing."""

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import StratifiedKFold

import scripts.folds.training as training
from scripts.folds.__main__ import main
from scripts.many.warm import Task
from src.data import MNIST
from tests.conftest import PROJECT
from tests.data.test_folds import write_writers

LOGISTIC = ["--config", str(PROJECT / "configs/mnist_logistic.yaml"), "--trainer.max_epochs=2",
            "--data.batch_size=20"]  # fmt: skip
GROUP = Path("lightning_logs/folds/version_0")
TRIES = 3  # of two kills each
RUNS = GROUP / "mnist_logistic"


def serially(tasks: Sequence[Task], *_: Any) -> Iterator[tuple[Task, int]]:
    """Run tasks in this process, as `run_all` does in others."""
    for task in tasks:
        task.log.write_text("")
        try:
            task.work(*task.arguments)
            yield task, 0
        except SystemExit as stop:
            yield task, int(stop.code or 0)


@pytest.fixture(autouse=True)
def _small(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(data_root))
    monkeypatch.setattr(training, "run_all", serially)


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [*csv.DictReader(file)]


def record() -> dict[str, Any]:
    return json.loads((GROUP / "folds.json").read_text())


def by_hand(fold: int, x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the probabilities of a run of logistic regression for images, by numpy."""
    [path] = (RUNS / f"fold_{fold}/checkpoints").glob("best-*.ckpt")
    weights = torch.load(path, weights_only=True)["state_dict"]
    [w] = (tensor.double().numpy() for name, tensor in weights.items() if "weight" in name)
    pixels = x[train].astype(np.float64)
    logits = ((x - pixels.mean()) / pixels.std()).reshape(len(x), -1) @ w.T
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_predictions_and_metrics_equal_numpy_and_scikit_learn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["3", *LOGISTIC, "--data.split_seed=5"])
    data = MNIST(val_size=50)
    data.setup("fit")
    (x, y), (test_x, test_y) = (
        (data.splits[name].x.numpy(), data.splits[name].y.numpy()) for name in ("train", "test")
    )
    split = [*StratifiedKFold(3, shuffle=True, random_state=5).split(y, y)]
    wanted, tested = np.zeros((300, 10)), np.zeros((130, 10))
    for fold, (train, held_out) in enumerate(split):
        wanted[held_out] = by_hand(fold, x, train)[held_out]
        tested += by_hand(fold, np.concatenate([test_x, x[train]]), np.arange(130, 330))[:130] / 3

    rows, names = table(GROUP / "out_of_fold.csv"), data.class_names
    found = np.array([[float(row[name]) for name in names] for row in rows])
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert [int(row["index"]) for row in rows] == [*range(300)]
    for fold, (_, held_out) in enumerate(split):
        assert [i for i, row in enumerate(rows) if int(row["fold"]) == fold] == held_out.tolist()
    labels, predicted = ([int(row[name]) for row in rows] for name in ("label", "prediction"))
    assert labels == y.tolist()
    assert predicted == wanted.argmax(axis=1).tolist()

    told = record()
    assert told["out_of_fold"] == {"acc": accuracy_score(labels, predicted), "samples": 300}
    counts = [[int(row[name]) for name in names] for row in table(GROUP / "confusion.csv")]
    assert counts == confusion_matrix(labels, predicted).tolist()
    accuracies = [fold["metrics"]["val/acc"] for fold in told["folds"]]
    right = np.array(labels) == predicted
    assert accuracies == pytest.approx([right[held_out].mean() for _, held_out in split])
    assert told["mean"]["val/acc"] == pytest.approx(mean(accuracies))
    assert told["sd"]["val/acc"] == pytest.approx(stdev(accuracies))

    for fold in range(3):  # no run has seen the test set, or chosen its epoch
        results = json.loads((RUNS / f"fold_{fold}/results.json").read_text())
        assert {name.partition("/")[0] for name in results["metrics"]} == {"train", "val"}
        assert results["tested"] == 0
        assert results["best_checkpoint"].endswith("best-epoch01.ckpt")  # the last of two
    assert told["checkpoint"] == "the last epoch"
    assert told["command"] == " ".join(["./scripts/run folds 3", *LOGISTIC, "--data.split_seed=5"])

    ensemble = table(GROUP / "test_predictions.csv")
    found = np.array([[float(row[name]) for name in names] for row in ensemble])
    np.testing.assert_allclose(found, tested, atol=2e-5)
    assert told["ensemble"]["acc"] == accuracy_score(test_y, tested.argmax(axis=1))
    out = capsys.readouterr().out
    assert f"{100 * told['ensemble']['acc']:.2f} % of 130 test samples right" in out
    assert f"{100 * mean(accuracies):.2f} ± {100 * stdev(accuracies):.2f} %" in out


def test_the_same_command_goes_on_where_it_was() -> None:
    main(["3", *LOGISTIC])
    wanted = (GROUP / "out_of_fold.csv").read_bytes()
    (GROUP / "folds.json").unlink()
    (RUNS / "fold_1/results.json").unlink()  # as if killed before its end
    shutil.rmtree(RUNS / "fold_2")  # and this before it had written anything
    (RUNS / "fold_2").mkdir()
    (RUNS / "fold_2/.lock").touch()
    kept = {path: path.stat().st_mtime_ns for path in (RUNS / "fold_0").rglob("*.*")}
    main(["3", *LOGISTIC])
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (GROUP / "out_of_fold.csv").read_bytes() == wanted
    assert [fold["epochs"] for fold in record()["folds"]] == [2, 2, 2]


def test_other_folds_settings_and_data_start_anew(
    monkeypatch: pytest.MonkeyPatch, data_root: Path, tmp_path: Path
) -> None:
    used = []
    tool = "scripts.folds.course"
    monkeypatch.setattr(f"{tool}.train", lambda group, *_: used.append(group.folder.name) or 1 / 0)
    shutil.copytree(data_root / "FashionMNIST", tmp_path / "FashionMNIST")
    labels = tmp_path / "FashionMNIST/raw/train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-2] + b"\x00\x01")
    fashion = "--data.name=FashionMNIST"
    for words in ([], ["--seed_everything=1"], [fashion], [fashion, f"--data.root={tmp_path}"], []):
        with pytest.raises(ZeroDivisionError):
            main(["2", *LOGISTIC, *words])
    assert used == [f"version_{number}" for number in (0, 1, 2, 3, 0)]


def test_image_folders_by_writer(tmp_path: Path, pictures: None) -> None:
    path = write_writers(tmp_path / "images")
    config = str(PROJECT / "configs/folder_lenet.yaml")
    main(["2", "--config", config, "--data.path", str(path), "--data.groups=folder",
          "--trainer.max_epochs=1"])  # fmt: skip
    rows = table(GROUP / "out_of_fold.csv")
    folds = {(row["file"].split("/")[2], row["fold"]) for row in rows}
    assert len(folds) == 4  # each of four writers is in one fold
    assert all(row["label"] == row["file"].split("/")[1] for row in rows)
    page = (GROUP / "report.html").read_text()
    assert "2 folds of folder_lenet on images" in page
    assert not re.search(r'(?:src|href)="(?!data:|\w+/fold_)', page)


def test_a_fold_that_fails_is_named_with_its_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def first_fails(tasks: Sequence[Task], *_: Any) -> Iterator[tuple[Task, int]]:
        yield tasks[0], 1
        yield from serially(tasks[1:])

    monkeypatch.setattr(training, "run_all", first_fails)
    with pytest.raises(SystemExit) as stop:
        main(["2", *LOGISTIC])
    assert stop.value.code == 1
    error = capsys.readouterr().err.strip().splitlines()
    assert f"1 of 2 folds failed: see the end of {GROUP}/fold_0.log (exit code 1)" in error[-2]
    assert (RUNS / "fold_1/results.json").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["1", *LOGISTIC], 2, "expected the number of folds, from 2 on, got '1'"),
        (["five", *LOGISTIC], 2, "got 'five'"),
        (["5"], 2, "give --config FILE"),
        (["5", *LOGISTIC, "--jobs=0"], 2, "whole number from 1 on, got 0"),
        (["5", *LOGISTIC, "--resume=latest"], 2, "leave --resume out"),
        (["5", *LOGISTIC, "--data.fold", "1"], 2, "leave --data.fold out"),
        (["5", *LOGISTIC, "--model.bais=true"], 2, "bais"),
        (["31", *LOGISTIC], 1, "--data.folds 31 is too large: class 0 has 30 training samples"),
        (["5", *LOGISTIC, "--data.groups=w.csv"], 1, "--data.groups w.csv: it does not exist"),
        (["5", "--config", str(PROJECT / "configs/line.yaml")], 1, "--data Line generates"),
        (["5", *LOGISTIC, "--trainer.fast_dev_run=true"], 1, "--trainer.fast_dev_run True"),
    ],
)
def test_errors_are_short_and_leave_no_folder(
    words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == code
    assert text in error
    assert len(error.splitlines()) <= 3
    assert not [path for path in Path().rglob("*") if path.is_file()]


def start(data_root: Path, *words: str) -> subprocess.Popen[str]:
    """Start the tool in a process of its own, the first of a group, as a shell does."""
    environment = {**os.environ, "DATA_DIR": str(data_root), "PYTHONPATH": str(PROJECT),
                   "OMP_NUM_THREADS": "1"}  # fmt: skip
    command = [sys.executable, "-m", "scripts.folds", "3", *LOGISTIC, "--data.verify=false"]
    return subprocess.Popen(
        [*command, "--jobs=2", *words], env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(process: subprocess.Popen[str], pattern: str, number: int = 1) -> None:
    """Wait until so many files match a pattern."""
    end = time.monotonic() + 60
    while len([*Path().glob(pattern)]) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ctrl_c_stops_all_at_their_next_checkpoint(data_root: Path) -> None:
    process = start(data_root, "--trainer.max_epochs=100000")
    wait_for(process, f"{RUNS}/*/checkpoints/resume-*.ckpt", 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    error = process.communicate(timeout=30)[1]
    assert process.returncode == 130, error
    for fold in (0, 1):
        assert "Stopping at the next checkpoint" in (GROUP / f"fold_{fold}.log").read_text()
        assert not (RUNS / f"fold_{fold}/.lock-owner").exists()  # it has ended in order
    assert not (RUNS / "fold_2").exists()


@pytest.mark.slow
def test_kills_lose_nothing(data_root: Path, tmp_path: Path) -> None:
    long, kept = "--trainer.max_epochs=60", ["out_of_fold.csv", "test_predictions.csv"]
    started = time.monotonic()
    finish(start(data_root, long))
    seconds = time.monotonic() - started
    wanted = [(GROUP / name).read_bytes() for name in kept]
    draw = random.Random(0)
    for number in range(TRIES):
        place = tmp_path / f"try{number}"
        place.mkdir()
        os.chdir(place)
        for _ in range(2):
            killed(start(data_root, long), draw, seconds)
        finish(start(data_root, long))
        assert [(GROUP / name).read_bytes() for name in kept] == wanted


def finish(process: subprocess.Popen[str]) -> None:
    error = process.communicate()[1]
    assert process.returncode == 0, error


def killed(process: subprocess.Popen[str], draw: random.Random, seconds: float) -> None:
    """Kill the tool, or one of its processes, at a random moment."""
    time.sleep(draw.uniform(0, seconds))
    with suppress(psutil.NoSuchProcess):
        tool = psutil.Process(process.pid)
        draw.choice([tool, *tool.children(recursive=True)]).kill()
    process.communicate(timeout=60)
