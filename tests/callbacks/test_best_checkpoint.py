"""Which checkpoint a run ends with: what is tested is what was chosen, whatever callbacks do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from src.runs.checkpoint_io import read_checkpoint
from src.runs.curves import read_curves
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
CALLBACK = "--trainer.callbacks+=lightning.pytorch.callbacks"
SMALL = ["--config", PROJECT / "configs/mnist_logistic.yaml", "--data.val_size=50",
         "--data.batch_size=25", "--trainer.max_epochs=4", "--model.scheduler=null",
         "--trainer.enable_progress_bar=false"]  # fmt: skip
FOLDER = Path("lightning_logs/mnist_logistic/version_0")


class SwapsForTest(Callback):
    """Doubles the weights at the start of a test, if it has seen training."""

    trained = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.trained = True

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        if self.trained:
            for parameter in pl_module.parameters():
                parameter.data.mul_(2)


CALLBACKS = {
    "ema": [f"{CALLBACK}.EMAWeightAveraging", "--trainer.callbacks.decay=0.9"],
    "average": [f"{CALLBACK}.WeightAveraging"],
    "swa": [f"{CALLBACK}.StochasticWeightAveraging", "--trainer.callbacks.swa_lrs=0.05"],
    "all kept": [f"{CALLBACK}.ModelCheckpoint", "--trainer.callbacks.save_top_k=-1"],
    "on exception": [f"{CALLBACK}.OnExceptionCheckpoint", "--trainer.callbacks.dirpath=x"],
    "for the test": ["--trainer.callbacks+=tests.callbacks.test_best_checkpoint.SwapsForTest"],
}


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINENET_ALLOW", "tests.callbacks.test_best_checkpoint")


def of(stage: str, metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith(stage)}


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.filterwarnings("ignore:.*WeightAveraging callback, but loading")
@pytest.mark.filterwarnings("ignore:.*without a model. The last model of")  # Lightning's mistake
@pytest.mark.filterwarnings("ignore:.*there is no last checkpoint available")
def test_the_end_of_fit_equals_the_evaluation_of_the_run(
    name: str, run: Run, data_root: Path
) -> None:
    metrics = run("fit", *SMALL, *CALLBACKS[name])["metrics"]
    assert of("test", metrics) == of("test", run("test", "--run", FOLDER)["metrics"])
    assert of("val", metrics) == of("val", run("validate", "--run", FOLDER)["metrics"])


def test_the_average_of_swa_is_what_is_chosen(run: Run, data_root: Path) -> None:
    early = ["--trainer.callbacks.swa_epoch_start=2", "--trainer.callbacks.annealing_epochs=1"]
    results = run("fit", *SMALL, *CALLBACKS["swa"], *early, "--checkpoint.save_top_k=-1")
    best = read_checkpoint(Path(results["best_checkpoint"]))
    assert Path(results["best_checkpoint"]).name == "averaged.ckpt"
    starts = [read_checkpoint(FOLDER / f"checkpoints/best-epoch0{i}.ckpt") for i in (0, 1, 2)]
    for key, weights in best["state_dict"].items():  # of the starts of epochs 2, 3 and 4
        mean = torch.stack([start["state_dict"][key] for start in starts]).mean(0)
        torch.testing.assert_close(weights, mean, atol=1e-6, rtol=1e-5)


def test_the_checkpoint_key_chooses_also_beside_other_savers(run: Run, data_root: Path) -> None:
    plain = run("fit", *SMALL)["metrics"]
    assert run("fit", *SMALL, *CALLBACKS["all kept"])["metrics"] == plain


def test_validation_metrics_are_those_of_the_chosen_checkpoint(run: Run, data_root: Path) -> None:
    results = run("fit", *SMALL, "--checkpoint.monitor=train/loss", "--checkpoint.save_top_k=-1",
                  "--trainer.max_epochs=3", "--model.optimizer.lr=1e-4")  # fmt: skip
    best = read_checkpoint(Path(results["best_checkpoint"]))
    saved = [read_checkpoint(path) for path in FOLDER.glob("checkpoints/best-*.ckpt")]
    assert best["record"]["metrics"]["val/loss"] == results["metrics"]["val/loss"]
    assert len({one["record"]["metrics"]["val/loss"] for one in saved}) == 3


def test_a_checkpoint_saved_between_validations_has_no_validation_metrics(
    run: Run, data_root: Path
) -> None:
    by_step = ["--checkpoint.every_n_train_steps=3", "--checkpoint.monitor=train/lr",
               "--trainer.log_every_n_steps=1", "--trainer.max_steps=8"]  # fmt: skip
    metrics = run("fit", *SMALL, *by_step)["metrics"]  # the first of all, as the rate is constant
    assert of("val", metrics) == {}
    assert set(of("test", metrics)) == {"test/acc", "test/loss"}


def test_no_checkpoint_replaces_one_that_is_kept(run: Run, data_root: Path) -> None:
    often = ["--trainer.val_check_interval=0.25", "--checkpoint.save_top_k=3",
             "--checkpoint.monitor=val/loss"]  # fmt: skip
    run("fit", *SMALL, *often, "--model.optimizer.lr=1e-4")
    paths = sorted(FOLDER.glob("checkpoints/best-*.ckpt"))
    checkpoints = [read_checkpoint(path) for path in paths]
    assert len({one["global_step"] for one in checkpoints}) == len(paths) == 3
    [state] = [value for key, value in checkpoints[-1]["callbacks"].items() if "Checkpoint" in key]
    scores = [float(one["record"]["metrics"]["val/loss"]) for one in checkpoints]
    curves = read_curves((FOLDER / "curves.csv").read_text())
    every = curves["val/loss"][1]
    assert sorted(scores) == sorted(every)[:3]
    assert state["best_model_path"]


def test_an_epochs_file_left_by_a_killed_session_is_replaced(run: Run, data_root: Path) -> None:
    run("fit", *SMALL)
    (FOLDER / "results.json").unlink()
    [best] = FOLDER.glob("checkpoints/best-*.ckpt")
    (FOLDER / f"checkpoints/resume-step{0:08d}.ckpt").rename(FOLDER / "start")
    for path in FOLDER.glob("checkpoints/resume-*"):
        path.unlink()
    (FOLDER / "start").rename(FOLDER / f"checkpoints/resume-step{0:08d}.ckpt")
    run("fit", "--resume", FOLDER)
    assert [*FOLDER.glob("checkpoints/best-*.ckpt")] == [best]


@pytest.mark.parametrize(
    ("limits", "step"),
    [
        (["--trainer.max_epochs=-1", "--trainer.max_steps=3"], 3),  # within the first epoch
        (["--trainer.check_val_every_n_epoch=5"], None),
        (["--checkpoint.every_n_epochs=7"], None),
        (["--trainer.val_check_interval=2", "--trainer.max_steps=3",
          "--checkpoint.every_n_train_steps=2"], None),
    ],
)  # fmt: skip
def test_the_end_of_training_is_validated_saved_and_tested(
    limits: list[str], step: int | None, run: Run, data_root: Path
) -> None:
    results = run("fit", *SMALL, *limits)
    best = read_checkpoint(Path(results["best_checkpoint"]))
    assert best["global_step"] == results["steps"] == (step or results["steps"])
    assert set(of("val", results["metrics"])) == {"val/acc", "val/loss"}
    assert set(of("test", results["metrics"])) == {"test/acc", "test/loss"}


def test_an_early_stop_between_two_validations_is_validated(run: Run, data_root: Path) -> None:
    stop = [f"{CALLBACK}.EarlyStopping", "--trainer.callbacks.monitor=train/acc",
            "--trainer.callbacks.min_delta=1e9", "--trainer.callbacks.patience=1",
            "--trainer.callbacks.check_on_train_epoch_end=true",
            "--trainer.check_val_every_n_epoch=3"]  # fmt: skip
    results = run("fit", *SMALL, *stop)
    assert results["ended_by"] == "EarlyStopping"
    assert results["epochs"] == 2
    validated = json.loads((FOLDER / "results.json").read_text())["metrics"]
    assert of("val", validated) == of("val", run("validate", "--run", FOLDER)["metrics"])
