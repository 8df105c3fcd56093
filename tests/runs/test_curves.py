"""`curves.csv` equals TensorBoard, and resuming removes the rows after the checkpoint."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.runs.curves import HEADER, read_curves
from src.runs.curves_file import CurvesFile, rows_before
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
FIT = ["fit", "--config", str(PROJECT / "configs/mnist_relu_mlp.yaml"), "--data.val_size=50",
         "--data.batch_size=50", "--trainer.log_every_n_steps=2", "--figures.only=[]",
         "--report=false", "--trainer.enable_progress_bar=false"]  # fmt: skip
FOLDER = Path("lightning_logs/mnist_relu_mlp/version_0")


def trainer(batches: int = 10, accumulated: int = 1) -> Any:
    return SimpleNamespace(
        num_training_batches=batches, accumulate_grad_batches=accumulated, global_step=0
    )  # fmt: skip


def test_values_are_appended_and_read_back() -> None:
    fake = trainer()
    file = CurvesFile(fake, Path(), purge_step=0)
    third = 1 / 3
    for step, values in [(5, {"a": 0.1, "b/c": third}), (15, {"a": 1e-30, "epoch": 1})]:
        fake.global_step = step
        file.log_metrics(values, step - 1)
        file.save()
    file.save()  # nothing new
    assert Path("curves.csv").read_text() == (
        f"{HEADER}4,0.5,a,0.1\n4,0.5,b/c,{third}\n14,1.5,a,1e-30\n"
    )
    assert read_curves((Path("curves.csv")).read_text()) == {
        "a": ([0.5, 1.5], [0.1, 1e-30]), "b/c": ([0.5], [third])
    }  # fmt: skip


@pytest.mark.parametrize(
    ("batches", "accumulated", "epochs"), [(10, 1, 3.0), (10, 3, 7.5), (10, 20, 30.0), (0, 1, 0.0)]
)
def test_epochs_are_computed_from_optimizer_steps(
    batches: int, accumulated: int, epochs: float
) -> None:
    fake = trainer(batches, accumulated)
    fake.global_step = 30
    file = CurvesFile(fake, Path(), purge_step=0)
    file.log_metrics({"a": 1}, 29)
    file.save()
    assert read_curves((Path("curves.csv")).read_text()) == {"a": ([epochs], [1])}


def test_rows_after_the_checkpoint_and_a_partial_line_are_removed() -> None:
    path = Path("curves.csv")
    kept = "3,0.3,a,1.0\n9,0.9,b,nan\n9,0.9,a,2.0\n"
    path.write_text(f"{HEADER}{kept}10,1.0,a,3.0\n100,10.0,a,4.0\n5,0.5,a,5.")
    assert "".join(rows_before(path, 10)) == kept
    file = CurvesFile(trainer(), Path(), purge_step=10)
    file.log_metrics({"a": 7.0}, 10)
    file.save()
    assert path.read_text() == f"{HEADER}{kept}10,0,a,7.0\n"
    file.log_metrics({"a": 8.0}, 2)
    file.save()  # only the first save removes rows
    assert path.read_text() == f"{HEADER}{kept}10,0,a,7.0\n2,0,a,8.0\n"


def test_a_new_run_has_no_earlier_rows() -> None:
    assert rows_before(Path("nothing.csv"), 10) == []
    Path("empty.csv").write_text("")
    Path("header.csv").write_text(HEADER)
    assert rows_before(Path("empty.csv"), 10) == rows_before(Path("header.csv"), 10) == []
    assert read_curves((Path("header.csv")).read_text()) == {}


def rows(path: Path) -> list[tuple[str, int, float]]:
    with path.open(newline="") as file:
        return [(r["name"], int(r["step"]), float(r["value"])) for r in csv.DictReader(file)]


def tensorboard_points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag not in ("epoch", "hp_metric")]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def csv_points(path: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for name, step, value in rows(path):
        found.setdefault(name, []).append((step, float(np.float32(value))))
    return found


def test_the_file_equals_tensorboard_and_has_no_duplicates(run: Run) -> None:
    run(*FIT, "--trainer.max_epochs=2")
    path = FOLDER / "curves.csv"
    before = rows(path)
    assert csv_points(path) == tensorboard_points(FOLDER)
    assert {"train/loss", "train/acc", "train/lr", "val/loss", "val/acc"} <= set(csv_points(path))
    curves = read_curves((path).read_text())
    assert curves["val/acc"][0] == [1, 2]
    next_step = before[-1][1] + 1
    with path.open("a") as file:  # as left by a run killed after its last checkpoint
        file.write(f"{next_step + 5},2.5,train/loss,9.0\n{next_step + 7},2.7,train/lo")
    run("fit", "--resume", FOLDER, "--trainer.max_epochs=3")
    after = rows(path)
    assert read_curves((path).read_text())["val/acc"][0] == [1, 2, 3]
    assert 9.0 not in read_curves((path).read_text())["train/loss"][1]
    assert max(Counter((name, step) for name, step, _ in after).values()) == 1
    assert csv_points(path) == tensorboard_points(FOLDER)
    run(*FIT, "--trainer.max_epochs=3")
    uninterrupted = rows(FOLDER.with_name("version_1") / "curves.csv")
    first_test = before[-2:]  # after two epochs
    assert [row for row in after if row not in first_test] == uninterrupted
