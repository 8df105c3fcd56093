"""`repeat` trains a run again, and tells equal, rounded and different runs apart, and why."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from scripts.repeat.__main__ import main
from scripts.repeat.answer import ROUNDING, Verdict, sentence, verdict
from scripts.repeat.numbers import (
    Difference,
    compared,
    of_curves,
    of_values,
    of_weights,
    relative,
)
from scripts.repeat.reasons import changed
from src.errors import UserError
from src.runs.code_state import Changes
from src.runs.sessions import add_session
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
LINE = ("fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=4")
FOLDER = Path("lightning_logs/line/version_0")


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str]:
    """Return the exit code of `repeat`, and what it prints."""
    capsys.readouterr()
    code: Any = 0
    try:
        main([*map(str, words)])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_run_is_repeated_to_the_bit_and_its_changes_are_told(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*LINE, "--trainer.logger+=CSVLogger", "--trainer.logger.save_dir=lightning_logs")
    before = {path: path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    code, told = answer(capsys, "latest")
    assert code == 0
    assert "Equal, to the bit.\nNothing else has changed since then.\n" in told
    assert {path: path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()} == before
    repetition = Path("lightning_logs/repeats/line/version_0")
    assert (repetition / "results.json").is_file()
    assert not (repetition / "metrics.csv").exists()

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    content = json.loads((FOLDER / "provenance.json").read_text())
    content["sessions"][0]["versions"]["torch"] = "2.0"
    content["sessions"][0]["data"]["digest"] = "other"
    (FOLDER / "provenance.json").write_text(json.dumps(content))
    (repetition / "mark").touch()
    config = FOLDER / "config.yaml"
    config.write_text(config.read_text().replace("src.models", "linenet.models"))  # of a wheel
    code, told = answer(capsys, FOLDER, "--seed_everything=3")
    assert code == 1
    for text in ("Different: metrics, curves, weights. The first is", "seed_everything 0 -> 3",
                 "torch 2.0 -> 2.", "data: other (", "CUBLAS_WORKSPACE_CONFIG not set -> :4096:8",
                 "repetition: lightning_logs/repeats/line/version_1"):  # fmt: skip
        assert text in told
    assert "linenet.models" not in told
    assert (repetition / "mark").exists()


def test_what_cannot_be_repeated_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(*LINE)
    (FOLDER / "results.json").unlink()
    assert answer(capsys)[0] == 2
    code, told = answer(capsys, FOLDER)
    assert code == 1
    assert f"{FOLDER} is not finished" in told
    assert f"fit --resume {FOLDER}" in told
    code, told = answer(capsys, "nowhere")
    assert code == 1
    assert "repeat nowhere is not a run folder" in told
    assert "leave --folder out" in answer(capsys, FOLDER, "--folder=x")[1]
    assert not Path("lightning_logs/repeats").exists()


def test_other_data_is_not_trained_on_if_that_of_the_run_is_missing(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(PROJECT / "configs/mnist_logistic.yaml")
    quick = ("--trainer.max_epochs=1", "--report=false", "--figures.only=[]", "--data.val_size=50")
    run("fit", "--config", config, *quick)
    monkeypatch.setattr("src.data.mnist.fetch", Mock(side_effect=UserError("no network")))
    code, told = answer(capsys, "latest", "--data.root=nowhere")
    assert code == 1
    assert "no network" in told
    assert "epoch 1/1" not in told


def test_relative_differences_are_those_of_numpy() -> None:
    generator = np.random.default_rng(0)
    one = {f"m{i}": float(v) for i, v in enumerate(generator.normal(size=50))}
    other = {name: value * (1 + 1e-6 * i) for i, (name, value) in enumerate(one.items())}
    left, right = np.array([*one.values()]), np.array([*other.values()])
    expected = np.max(np.abs(left - right) / np.maximum(np.abs(left), np.abs(right)))
    found = of_values("metrics", one, other)
    assert found.largest == pytest.approx(expected)
    assert found.where == "m49"
    assert of_values("metrics", one, one) == Difference("metrics", 50, 0.0)


def test_missing_values_and_nan_are_told() -> None:
    nan = float("nan")
    assert relative(nan, nan, 1) == 0
    assert relative(nan, 1, 1) == relative(1, nan, 1) == math.inf
    assert relative(0.0, 1.0, 0) == math.inf
    assert of_values("metrics", {"a": 1}, {"a": 1, "b": 2}).where == "only one run has b"
    assert of_curves({"a": {0: 1.0}}, {"a": {0: 1.0, 5: 1.0}}).largest == math.inf


def test_an_infinite_value_equals_only_itself() -> None:
    inf = math.inf
    assert relative(inf, inf, inf) == 0
    assert relative(inf, -inf, 1) == relative(inf, 1, inf) == relative(1e308, -1e308, 1) == inf
    assert of_values("metrics", {"a": inf}, {"a": inf}).largest == 0
    for one, other in ((inf, 1.0), (1.0, inf), (inf, -inf)):
        found = of_values("metrics", {"a": one, "b": 1.0}, {"a": other, "b": 2.0})
        assert (found.largest, found.where) == (inf, "a")
        assert verdict([found]) is Verdict.DIFFERENT
    found = of_curves({"loss": {0: 1.0, 1: inf, 2: 3.0}}, {"loss": {0: 2.0, 1: 5.0, 2: 9.0}})
    assert (found.largest, found.where) == (inf, "loss at step 1")
    assert found.first.startswith("The first is loss at step 0, by")
    found = of_curves({"loss": {0: inf, 1: 4.0}}, {"loss": {0: inf, 1: 5.0}})
    assert (found.largest, found.where) == (0.25, "loss at step 1")


def write_curves(folder: Path, resumed: int, *steps: int) -> Path:
    """Write a run with a validation at some steps."""
    folder.mkdir()
    metrics = {"test/loss": 1.0, "test/mse": 1.0}
    results = {"metrics": metrics, "resumed_by": ["fit"] * resumed, "finished": True}
    (folder / "results.json").write_text(json.dumps(results))
    rows = ["0,0,train/loss,1.0", *(f"{step},1,val/loss,0.5" for step in steps)]
    (folder / "curves.csv").write_text("step,epoch,name,value\n" + "\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize(
    ("resumed", "steps", "other", "largest"),
    [
        (1, (3, 9), (9,), 0.0),
        (2, (3, 9), (9,), 0.0),
        (0, (3, 9), (9,), math.inf),
        (1, (3, 6, 9), (9,), math.inf),
        (1, (3, 9), (3,), math.inf),
        (1, (3, 9), (), math.inf),
    ],
)
def test_only_the_validation_at_an_earlier_end_may_be_missing(
    resumed: int, steps: tuple[int, ...], other: tuple[int, ...], largest: float
) -> None:
    before = write_curves(Path("before"), resumed, *steps)
    after = write_curves(Path("after"), 0, *other)
    assert [one.largest for one in compared(before, after)] == [0.0, largest]


@pytest.mark.parametrize("row", ["5,1", "5,1,val/loss", "x,1,val/loss,0.5"])
def test_damaged_curves_are_named(row: str) -> None:
    before, after = (write_curves(Path(name), 0, 9) for name in ("before", "after"))
    with (before / "curves.csv").open("a") as file:
        file.write(row)
    with pytest.raises(UserError, match=r"before/curves.csv is damaged"):
        compared(before, after)


def test_the_first_and_the_largest_difference_of_curves_are_found() -> None:
    one = {"loss": {0: 4.0, 1: 2.0, 2: 1.0}, "acc": {1: 0.5, 2: 0.5}}
    other = {"loss": {0: 4.0, 1: 2.0, 2: 2.0}, "acc": {1: 0.55, 2: 0.5}}
    found = of_curves(one, other)
    assert (found.largest, found.where) == (0.25, "loss at step 2")
    assert found.first == "The first is acc at step 1, by 1.0e-01."
    assert of_curves(one, one) == Difference("curves", 5, 0.0)


def test_weights_are_compared_by_tensor() -> None:
    one = {"a": torch.tensor([1.0, -8.0]), "b": torch.tensor([1, 2])}
    assert of_weights(one, {k: v.clone() for k, v in one.items()}).largest == 0
    found = of_weights(one, {**one, "a": torch.tensor([1.5, -8.0])})
    assert (found.number, found.largest, found.where) == (4, 0.5 / 8, "a")
    assert of_weights(one, {"a": one["a"]}).largest == math.inf
    for value in (math.nan, math.inf):
        with_it = {**one, "a": torch.tensor([value, -8.0])}
        assert of_weights(one, with_it).largest == of_weights(with_it, one).largest == math.inf
        assert of_weights(with_it, {k: v.clone() for k, v in with_it.items()}).largest == 0
        assert of_weights(with_it, {**one, "a": torch.tensor([value, -4.0])}).largest == 0.5


@pytest.mark.parametrize(
    ("largest", "expected", "text"),
    [
        (0.0, Verdict.EQUAL, "Equal, to the bit."),
        (ROUNDING, Verdict.ROUNDED, "Equal within rounding: the largest relative difference is"),
        (2 * ROUNDING, Verdict.DIFFERENT, "Different: weights."),
        (math.inf, Verdict.DIFFERENT, "Different: weights."),
    ],
)
def test_the_verdict_is_by_the_largest_difference(
    largest: float, expected: Verdict, text: str
) -> None:
    found = [Difference("metrics", 3, 0.0), Difference("weights", 3, largest)]
    assert verdict(found) is expected
    assert sentence(found).startswith(text)


PATCHES = {
    "clean": Changes(),
    "one": Changes(b"diff --git a/src/a b.py b/src/a b.py\n--- a/x\n+b = 2\n"),
    "two": Changes(b"diff --git a/src/a b.py b/src/a b.py\n--- a/x\n+b = 2\n"
                   b'diff --git "a/src/\\303.py" "b/src/\\303.py"\n+c\n'),
    "lost": Changes(missing="git failed: x"),
    "in part": Changes(b"diff --git a/src/c.py b/src/c.py\n+b = 2\n", "src/large"),
}  # fmt: skip


def write_code(name: str, code: str, commit: str = "0123456789") -> Path:
    """Write a run whose code has some of the uncommitted changes above."""
    folder = Path(name)
    folder.mkdir()
    (folder / "config.yaml").write_text("model: a")
    kinds: dict[str, Any] = {kind: {} for kind in ("versions", "packages", "environment")}
    git = {"commit": commit, "dirty": code != "clean"}
    add_session(folder, {**kinds, "git": git}, PATCHES[code])
    return folder


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ("clean", "clean", []),
        ("two", "two", []),
        ("clean", "one", ["uncommitted changes of src/a b.py: see after/changes.diff"]),
        ("one", "two", [r"uncommitted changes of src/\303.py: "
                        "see before/changes.diff and after/changes.diff"]),
        ("lost", "lost", ["uncommitted changes in before, not kept: git failed: x",
                          "uncommitted changes in after, not kept: git failed: x"]),
        ("in part", "in part", ["uncommitted changes in before, not kept: src/large",
                                "uncommitted changes in after, not kept: src/large"]),
    ],
)  # fmt: skip
def test_uncommitted_changes_are_told_by_file(then: str, now: str, told: list[str]) -> None:
    before, after = write_code("before", then), write_code("after", now)
    assert changed(before, after) == ({"code": told} if told else {})


def test_another_commit_is_told_and_changes_that_an_earlier_version_has_lost() -> None:
    before, after = write_code("before", "one"), write_code("after", "one", "abcdefghijk")
    assert changed(before, after) == {"code": ["012345678 -> abcdefghi"]}
    (before / "provenance.json").write_text(
        (after / "provenance.json").read_text().replace('"changes.diff"', "null")
    )
    (before / "changes.diff").unlink()
    assert changed(before, after)["code"][-1] == "uncommitted changes in before, not kept"


@pytest.mark.slow
def test_runs_that_were_resumed_or_belong_to_a_group_are_repeated(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    from scripts.seeds.__main__ import main as seeds

    run(*LINE)
    run("fit", "--resume", FOLDER, "--trainer.max_epochs=6")
    assert answer(capsys, FOLDER)[0] == 0
    seeds(["2", *LINE[1:]])
    code, told = answer(capsys, "lightning_logs/seeds/version_0/line/seed_1")
    assert code == 0
    assert "repetition: lightning_logs/repeats/line/version_1\nEqual, to the bit." in told
    (FOLDER / "provenance.json").unlink()  # as a run of an earlier version
    repetition = Path("lightning_logs/repeats/line/version_0")
    assert [*changed(FOLDER, repetition)] == ["not recorded"]
