"""A sweep chooses by validation alone, goes on where it was, and ends with settings to run."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from optuna.trial import FrozenTrial

import scripts.sweep.__main__ as tool
from scripts.sweep.pictures import CAPTIONS
from scripts.sweep.trial import Reports
from src.cli import main
from src.runs.curves import read_curves
from tests.scripts.sweep.conftest import Done, Sweep


def trials_in(folder: Path) -> list[FrozenTrial]:
    url = f"sqlite:///{folder}/study.db"
    [summary] = optuna.get_all_study_summaries(url)
    return optuna.load_study(study_name=summary.study_name, storage=url).trials


def results(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


def run_of(folder: Path, number: int | str) -> Path:
    return folder / "mnist_logistic" / f"trial_{number}"


def best_in_curves(folder: Path, number: int) -> float:
    """Return the lowest validation loss of a trial, from its curves."""
    return min(read_curves((run_of(folder, number) / "curves.csv").read_text())["val/loss"][1])


def best_of(folder: Path) -> FrozenTrial:
    return min(trials_in(folder), key=lambda trial: trial.value or 0)


def test_trials_are_compared_by_validation(done: Done) -> None:
    trials = trials_in(done.folder)
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    for trial in trials:
        run = run_of(done.folder, trial.number)
        settings = yaml.safe_load((run / "config.yaml").read_text())
        optimizer = settings["model"]["init_args"]["optimizer"]
        assert optimizer["init_args"]["lr"] == trial.params["model.optimizer.lr"]
        assert trial.value == pytest.approx(best_in_curves(done.folder, trial.number), abs=1e-6)
        assert not [name for name in results(run)["metrics"] if name.startswith("test/")]
    best = best_of(done.folder)
    assert f"val/loss {best.value:.4g} (trial {best.number})" in done.text
    assert done.text.count("; best val/loss") == 4  # a line for each trial, with the best so far


def test_the_best_settings_repeat_the_best_trial_and_are_short(
    done: Done, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(data_root))
    best, file = best_of(done.folder), done.folder / "best.yaml"
    text, shown = file.read_text(), file.relative_to(done.folder.parents[2])
    assert text.startswith(f"# python -m src.cli fit --config {shown}\n# Expect val/loss")
    assert yaml.safe_load(text) == {
        "model": {
            "class_path": "LogisticRegression",
            "init_args": {
                "bias": False,
                "optimizer": {
                    "class_path": "SGD",
                    "init_args": {"lr": best.params["model.optimizer.lr"], "momentum": 0.9},
                },
                "scheduler_interval": "step",
            },
        },
        "data": {"class_path": "MNIST", "init_args": {"val_size": 100, "batch_size": 20}},
        "trainer": {"max_epochs": 2},
        "checkpoint": {"monitor": "val/loss"},
    }
    main(["fit", "--config", str(file)])
    metrics = results(Path("lightning_logs/best/version_0"))["metrics"]
    assert metrics["val/loss"] == best.value  # to the bit
    assert "test/acc" in metrics


def test_the_same_command_goes_on_and_adds_trials(sweep: Sweep) -> None:
    words = ["--trainer.max_epochs=1", "--pruner=none"]
    first = sweep(*words, "--trials=1")
    [before] = trials_in(first)
    written = run_of(first, 0).stat().st_mtime_ns
    assert sweep(*words, "--trials=2") == first
    after = trials_in(first)
    assert [trial.number for trial in after] == [0, 1]
    assert (after[0].params, after[0].value) == (before.params, before.value)
    assert run_of(first, 0).stat().st_mtime_ns == written
    assert sweep(*words, "--trials=1", "--seed_everything=1") != first  # another sweep


@pytest.mark.slow
def test_a_sweep_repeats_to_the_bit(sweep: Sweep) -> None:
    words = ["--trials=14", "--trainer.max_epochs=2"]  # after ten, TPE proposes
    first, again = sweep(*words), sweep(*words, "--storage=journal:again.log")
    ours = [(trial.params, trial.state, trial.value) for trial in trials_in(first)]
    assert again != first
    [study] = optuna.get_all_study_summaries(journal("again.log"))
    other = optuna.load_study(study_name=study.study_name, storage=journal("again.log")).trials
    assert [(trial.params, trial.state, trial.value) for trial in other] == ours


@pytest.mark.slow
def test_a_sweep_in_two_processes_repeats_that_in_one(sweep: Sweep) -> None:
    words = ["--trials=3", "--trainer.max_epochs=1", "--pruner=none", "--sampler=random"]
    one, two = sweep(*words), sweep(*words, "--jobs=2", "--storage=journal:two.log")
    assert two != one
    alone = sorted((trial.number, trial.value) for trial in trials_in(one))
    [study] = optuna.get_all_study_summaries(journal("two.log"))
    shared = optuna.load_study(study_name=study.study_name, storage=journal("two.log")).trials
    assert sorted((trial.number, trial.value) for trial in shared) == alone


def journal(file: str) -> Any:
    backend = optuna.storages.journal.JournalFileBackend(file)
    return optuna.storages.JournalStorage(backend)


@pytest.mark.slow
def test_trials_are_pruned_by_the_rule_of_the_median(sweep: Sweep) -> None:
    words = ["--trials=10", "--trainer.max_epochs=3", "--sampler=random", "--pruner=median"]
    folder = sweep(*words)
    complete: list[list[float]] = []  # reports of the complete trials, then of all
    reported: list[list[float]] = []
    pruned = 0
    for trial in trials_in(folder):
        values = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
        stops = len(complete) >= 5  # Optuna's n_startup_trials
        for epoch in range(1, 3):  # in the last epoch, nothing is saved
            others = [other[epoch - 1] for other in reported if len(other) >= epoch]
            bad = stops and min(values[:epoch]) > np.median(others)
            assert bad == (len(values) == epoch)
            if bad:
                break
        pruned += len(values) < 3
        assert trial.state.name == ("PRUNED" if len(values) < 3 else "COMPLETE")
        assert results(run_of(folder, trial.number))["epochs"] == len(values)
        complete += [values] if len(values) == 3 else []
        reported.append(values)
    assert 0 < pruned < 7


@pytest.mark.slow
def test_all_points_of_a_grid_are_tried_once(sweep: Sweep) -> None:
    space = """
model.optimizer: [SGD, Adam]
model.optimizer.lr: [0.01, 0.1]
model.optimizer.momentum: {low: 0.0, high: 0.5, step: 0.5, when: {model.optimizer: SGD}}
"""
    folder = sweep("--sampler=grid", "--trainer.max_epochs=1", space=space)
    found = sorted(tuple(trial.params.values()) for trial in trials_in(folder))
    rates = (0.01, 0.1)
    expected = [("Adam", rate) for rate in rates]
    expected += [("SGD", rate, momentum) for rate in rates for momentum in (0.0, 0.5)]
    assert found == sorted(expected)


def kill_once(monkeypatch: pytest.MonkeyPatch, always: bool = False) -> None:
    """Kill the process of trial 1 by signal 9 in its second epoch, the first time or always."""
    usual = Reports.on_validation_end

    def on_validation_end(self: Reports, trainer: Any, pl_module: Any) -> None:
        marker = Path("killed")
        usual(self, trainer, pl_module)
        here = "trial_1" in trainer.log_dir and trainer.current_epoch == 1
        if here and (always or not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Reports, "on_validation_end", on_validation_end)


@pytest.mark.slow
def test_a_trial_whose_process_is_killed_is_resumed_and_changes_nothing(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--trials=3", "--trainer.max_epochs=3", "--sampler=random", "--pruner=none"]
    monkeypatch.setattr("src.callbacks.resume_points.SECONDS", 0.0)
    monkeypatch.setattr("src.callbacks.resume_points.SHARE", 0)
    undisturbed = sweep(*words, "--storage=journal:other.log")
    kill_once(monkeypatch)
    folder = sweep(*words)
    trials = trials_in(folder)
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert results(run_of(folder, 1))["resumed_by"]
    assert not run_of(folder, 2).exists()  # the number of the second attempt
    for before, now in enumerate([0, 1, 3]):
        ours, theirs = run_of(folder, now), run_of(undisturbed, before)
        assert results(ours)["metrics"] == results(theirs)["metrics"]  # to the bit


@pytest.mark.slow
def test_a_trial_whose_process_is_always_killed_fails_after_three_attempts(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_once(monkeypatch, always=True)
    sweep("--trials=2", "--trainer.max_epochs=2", "--pruner=none")
    text = capsys.readouterr().out
    assert re.search(r"trial 1: failed: .*; best", text)
    assert re.search("1 complete, 0 pruned, 1 failed", text)


def test_a_trial_that_diverges_is_told_and_the_sweep_goes_on(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    space = "model.optimizer.lr: [0.01, 1e38]\n"
    folder = sweep("--sampler=grid", "--trainer.max_epochs=2", space=space)
    text = capsys.readouterr().out
    assert re.search(r"trial \d: diverged: The .* is not finite", text)
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert best["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 0.01


def test_a_sweep_without_a_complete_trial_ends_with_the_reason(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep("--trials=1", space="model.optimizer.lr: [1e38]\n", code=1)
    assert "not finite" in capsys.readouterr().out


def test_the_best_settings_are_trained_again_with_other_seeds_and_tested(done: Done) -> None:
    best = best_of(done.folder)
    runs = [run_of(done.folder, f"{best.number}_seed_{seed}") for seed in (1, 2)]
    assert [results(run)["seed"] for run in runs] == [1, 2]
    scores = [results(run)["metrics"]["test/loss"] for run in runs]
    assert f"{np.mean(scores):.4g} ± {np.std(scores, ddof=1):.4g}" in done.text


def test_the_page_has_a_row_for_each_trial_that_leads_to_its_run(done: Done) -> None:
    text = (done.folder / "report.html").read_text()
    links = re.findall(r'href="([^"]+)"', text)
    assert sorted(links) == [f"mnist_logistic/trial_{number}/" for number in range(4)]
    assert all((done.folder / link / "results.json").exists() for link in links)
    assert text.count("data:image/png;base64,") == len(CAPTIONS)
    assert not re.findall(r"(?:src|href)=\"(?!data:|mnist_)", text)


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["--metric=val/auc"], "Did you mean val/acc", 1),
        (["--metric=test/acc"], "Give --metric val/acc or val/loss", 1),
        (["--metric=train/loss"], "Give --metric val/acc or val/loss", 1),
        (["--metric=null"], "Give --metric val/acc or val/loss", 1),
        (["--trainer.limit_val_batches=0"], "turns validation off", 1),
        (["--sampler=grid"], "grid cannot try all of model.optimizer.lr", 1),
        (["--sampler=gird"], "invalid choice: 'gird'", 2),
        (["--pruner=mean"], "invalid choice: 'mean'", 2),
        (["--trials=0"], "--trials", 2),
        (["--storage=postgresql://me@127.0.0.1:9/x"], "--storage", 1),
        (["--model.hiden=3"], "hiden", 2),
    ],
)
def test_bad_input_is_refused_in_three_lines_before_a_folder_is_made(
    sweep: Sweep, words: list[str], message: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="max"):  # no folder
        sweep(*words, code=code)
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) <= 3
    assert not Path("lightning_logs").exists()


def test_a_space_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tool.main(["--config", "x.yaml"])
    assert "give --space FILE" in capsys.readouterr().err
