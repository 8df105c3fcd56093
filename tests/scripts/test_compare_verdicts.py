"""Verdicts of `compare`: which rows are compared, by which test, and in which words."""

import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from scripts.compare.__main__ import main
from src.plots.comparison import Scores, seed_scores
from tests.conftest import PROJECT
from tests.scripts.test_compare import config, write_run

Run = Callable[..., dict[str, Any]]
A, B, C = [0.97, 0.975, 0.98], [0.95, 0.953, 0.951, 0.956], [0.969, 0.977, 0.981]
PAIR = ["runs/mlp/v0", "runs/mlp/v1"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sentences stand in one line."""
    monkeypatch.setenv("COLUMNS", "1000")


def write_row(lr: float, accuracies: list[float], **changed: Any) -> None:
    """Write a run for each accuracy, which differ in the seed only."""
    for seed, acc in enumerate(accuracies):
        write_run(Path(f"runs/mlp/lr{lr}-{seed}"), config(lr), seed, acc=acc, **changed)


def written() -> list[dict[str, str]]:
    """Return the rows of the CSV file."""
    return [*csv.DictReader(Path("t.csv").read_text().splitlines())]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what is printed after the table."""
    assert main(["runs", *words]) == 0
    return capsys.readouterr().out.split("\n\n", 1)[1]


def test_the_better_of_two_rows_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    write_row(0.1, A)
    write_row(0.01, B)
    interval = stats.ttest_ind(A, B, equal_var=False).confidence_interval(0.95)
    by = f"{100 * (np.mean(A) - np.mean(B)):.2f} ± {50 * (interval.high - interval.low):.2f}"
    expected = f"lr 0.1 (3 seeds) is better than lr 0.01 (4 seeds) by {by} points of test/acc"
    assert told(capsys).startswith(f"{expected} (95 % interval; Welch's t-test).\n")
    assert told(capsys, "--against", "lr=0.1").startswith(expected)  # it is the better one


def test_no_difference_is_shown_within_the_noise(capsys: pytest.CaptureFixture[str]) -> None:
    write_row(0.1, A)
    write_row(0.01, C)
    assert told(capsys).startswith("No difference shown: lr 0.01 (3 seeds) is ahead of lr 0.1 (3")
    loss = told(capsys, "--metrics", "test/loss")  # less is better
    assert loss.startswith("No difference shown: lr 0.01 (3 seeds) is ahead of lr 0.1 (3 seeds)")
    assert "of test/loss (95 % interval" in loss


def test_equal_rows_are_called_equal(capsys: pytest.CaptureFixture[str]) -> None:
    write_row(0.1, A)
    write_row(0.01, A)
    assert told(capsys).startswith("No difference shown: lr 0.01 (3 seeds) equals lr 0.1 (3 seeds)")
    write_row(0.5, A)
    assert "- lr 0.01 (3 seeds): no difference shown, equal (Welch's t-test).\n" in told(capsys)


def test_below_three_seeds_there_is_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    write_row(0.1, A)
    write_row(0.01, B[:2])
    expected = "Not compared with lr 0.1 (3 seeds): lr 0.01 (2 seeds); fewer than 3 seeds.\n"
    assert told(capsys, "--csv", "t.csv").startswith(expected)
    assert {row["difference"] for row in written()} == {""}


def test_several_rows_are_compared_with_the_best_by_validation_and_wider_intervals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_row(0.1, A)
    write_row(0.01, B)
    chance = {"metrics": {"test/acc": 0.999, "val/acc": 0.9, "test/loss": 0.1}}  # by luck the best
    write_row(0.5, [0.0] * 3, **chance)
    write_row(0.6, [0.9, 0.91])
    text = told(capsys, "--csv", "t.csv", "--html", "p.html")
    lines = text.splitlines()
    assert lines[0] == "Compared with lr 0.1 (3 seeds), the best by val/acc:"
    rows = {row["model.optimizer.lr"]: row for row in written()}
    interval = stats.ttest_ind(B, A, equal_var=False).confidence_interval(0.975)  # 2 comparisons
    found = [float(rows["0.01"][name]) for name in ("low", "high")]
    np.testing.assert_allclose(found, interval, rtol=1e-6)
    assert rows["0.01"]["compared with"] == "lr 0.1"
    assert rows["0.1"]["low"] == rows["0.6"]["low"] == ""
    half = f"{50 * (interval.high - interval.low):.2f} points of test/acc (Welch's t-test)."
    assert f"- lr 0.01 (4 seeds): worse by 2.25 ± {half}" in lines
    assert "- lr 0.5 (3 seeds): better by 2.40 ± " in text
    assert "Intervals are of 97.5 %, so that all together hold with 95 % (Bonferroni)." in lines
    assert "Not compared with lr 0.1 (3 seeds): lr 0.6 (2 seeds); fewer than 3 seeds." in lines
    page = Path("p.html").read_text()
    assert "- lr 0.5 (3 seeds): better by 2.40 ± " in page
    assert page.count("<img") == 2


def test_against_names_the_row_to_compare_with(capsys: pytest.CaptureFixture[str]) -> None:
    for lr, row in ((0.1, A), (0.01, B), (0.5, C)):
        write_row(lr, row)
    text = told(capsys, "--against", "lr=1e-2")
    assert text.startswith("Compared with lr 0.01 (4 seeds), named by --against:\n- lr 0.5 (3 see")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["lr=9"], 1, "--against lr=9: no run has this value; they have 0.01, 0.1."),
        (["lrr=9"], 2, "--against lrr: no such name in these runs.\nDid you mean lr"),
        (["lr"], 2, "--against lr: expected KEY=VALUE"),
        (["model=ReLUMLP"], 2, "2 rows have this value, expected one.\nThey are lr 0.1; lr 0.01."),
    ],
)
def test_a_row_to_compare_with_that_is_not_one_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    write_row(0.1, A)
    write_row(0.01, B)
    assert main(["runs", "--against", *words]) == code
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) <= 3


def test_rows_on_other_test_data_or_without_the_metric_are_not_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_row(0.1, A)
    write_row(0.01, B, dataset={"name": "KMNIST", "source": "x", "sizes": {"train": 300}})
    write_row(0.5, [0.0] * 3, metrics={"test/loss": 0.2, "val/acc": 0.5})
    text = told(capsys)
    assert "Not compared with lr 0.1 (3 seeds): lr 0.01 (4 seeds); other test data.\n" in text
    assert "Not compared with lr 0.1 (3 seeds): lr 0.5 (3 seeds); test/acc is missing.\n" in text


def write_pair(wrong: list[set[int]], n: int = 200, head: str = "index,label,prediction") -> None:
    """Write two single runs, given the samples that each has wrong."""
    for number, samples in enumerate(wrong):
        folder = Path(f"runs/mlp/v{number}")
        write_run(folder, config(0.1 * (number + 1)), acc=1 - len(samples) / n)
        rows = [f"{i},{i % 10},{(i + (i in samples)) % 10}\n" for i in range(n)]
        (folder / "test_predictions.csv").write_text(f"{head}\n{''.join(rows)}")


def test_two_single_runs_are_paired_by_their_test_samples(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_pair([set(range(20)), set(range(18, 24))])
    text = told(capsys)
    p = stats.binomtest(18, 22).pvalue  # 18 wrong in the first only, 4 in the second only
    about = f"22 of 200 test samples right in one run only, McNemar's p = {p:.2g}"
    assert re.match(
        r"lr 0\.2 \(1 seed\) is better than lr 0\.1 \(1 seed\) by 7\.00 ± 4\.\d\d points of"
        rf" test/acc \(95 % interval; {re.escape(about)}\)\.\nOne run each: other seeds may",
        text,
    )
    assert "of test/loss" not in told(capsys, "--metrics", "test/loss")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: None, "a run has no test_predictions.csv, which `test --run RUN` writes"),
        (lambda text: text[:-4], "v1/test_predictions.csv is damaged: a row is cut short"),
        (lambda text: "", "v1/test_predictions.csv is damaged"),
        (lambda text: text.replace("7,7,7", "7,8,8"), "other test data"),
        (lambda text: text.replace(",3,3", ",3,4"), "is not of the test in results.json"),
    ],
)
def test_a_pair_without_the_same_samples_is_not_compared(
    capsys: pytest.CaptureFixture[str], change: Callable[[str], str | None], reason: str
) -> None:
    write_pair([set(range(20)), set(range(18, 24))])
    path = Path("runs/mlp/v1/test_predictions.csv")
    changed = change(path.read_text())
    path.unlink() if changed is None else path.write_text(changed)
    assert re.match(rf"Not compared with .*; .*{re.escape(reason)}.*\n", told(capsys))


def fit(run: Run, name: str, *words: str) -> None:
    run("fit", "--config", PROJECT / f"configs/{name}.yaml", "--trainer.enable_progress_bar=false",
        *words)  # fmt: skip


def test_two_real_runs_are_compared_by_what_they_predicted(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--data.val_size=50", "--trainer.max_epochs=1"]
    fit(run, "mnist_logistic", *small)
    fit(run, "mnist_logistic", *small, "--model.scheduler.max_lr=1e-7")
    capsys.readouterr()
    assert main(["--csv", "t.csv"]) == 0
    text = capsys.readouterr().out
    rows = written()
    [difference] = [float(row["difference"]) for row in rows if row["difference"]]
    accuracies = [float(row["test/acc"]) for row in rows]
    assert abs(difference) == pytest.approx(max(accuracies) - min(accuracies), abs=1e-6)
    assert f"is better than max_lr 1e-07 (1 seed) by {100 * abs(difference):.2f} ±" in text
    (Path("lightning_logs/mnist_logistic/version_0") / "test_predictions.csv").unlink()
    run("test", "--run", "lightning_logs/mnist_logistic/version_0")  # for a run that is older
    capsys.readouterr()
    assert main([]) == 0
    assert f"is better than max_lr 1e-07 (1 seed) by {100 * abs(difference):.2f} ±" in (
        capsys.readouterr().out
    )


def test_two_regressions_are_compared_by_their_squared_errors(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for lr in (0.03, 0.0001):
        fit(run, "line_noisy", "--trainer.max_epochs=5", f"--model.scheduler.max_lr={lr}")
    capsys.readouterr()
    assert main(["--csv", "t.csv"]) == 0
    text = capsys.readouterr().out
    [row] = [row for row in written() if row["difference"]]
    errors = []
    for version in (1, 0):
        path = Path(f"lightning_logs/line_noisy/version_{version}/test_predictions.csv")
        _, target, value = np.loadtxt(path, delimiter=",", skiprows=1).T
        errors.append((target - value) ** 2)
    test = stats.ttest_rel(*errors)
    expected = [errors[0].mean() - errors[1].mean(), *test.confidence_interval(0.95)]
    found = [float(row[name]) for name in ("difference", "low", "high")]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "max_lr 0.03 (1 seed) is better than max_lr 0.0001 (1 seed) by" in text
    assert f"paired t-test on {len(errors[0])} test samples" in text


def test_the_picture_shows_each_seed_the_mean_and_its_interval() -> None:
    axes = seed_scores([Scores("a$", A, (0.96, 0.99)), Scores("b", [0.5], None)], "test/acc").axes[
        0
    ]
    band, dots, mean, dot, other_mean = axes.lines
    np.testing.assert_allclose(band.get_xdata(), (0.96, 0.99))
    np.testing.assert_allclose(dots.get_xdata(), A)
    np.testing.assert_allclose(mean.get_xdata(), np.mean(A))
    assert [*dot.get_xdata()] == [*other_mean.get_xdata()] == [0.5]
    assert {*dots.get_ydata(), *band.get_ydata()} == {0}
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is at the top
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a$", "b"]


def test_only_rows_of_several_seeds_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    picture = Path("lightning_logs/compare-seeds.png")
    write_pair([{1}, {2}])
    told(capsys)
    assert not picture.exists()
    write_row(0.5, A)
    told(capsys)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_compare_does_not_import_torch() -> None:
    write_row(0.1, A)
    write_row(0.01, B)
    code = (
        "import sys; from scripts.compare.__main__ import main; main(['runs', '--html', 'p.html']);"
        "sys.exit({'torch', 'lightning', 'jsonargparse'} & {*sys.modules} or None)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "is better than" in done.stdout
    assert Path("p.html").exists()
