"""Every callback of Lightning: it works in fit, resume, test and a repetition, or is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch.callbacks as lightning_callbacks
import pytest

from src.cli import main
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
SMALL = ["--config", PROJECT / "configs/mnist_logistic.yaml", "--data.val_size=50",
         "--data.batch_size=50", "--trainer.max_epochs=3", "--model.scheduler=null"]  # fmt: skip
FOLDER = Path("lightning_logs/mnist_logistic/version_0")
WORK: dict[str, list[str]] = {  # arguments; all are resumed to the bit
    "BasePredictionWriter": [],
    "Callback": [],
    "Checkpoint": [],
    "DeviceStatsMonitor": [],
    "EarlyStopping": ["monitor=val/loss"],
    "EMAWeightAveraging": ["decay=0.9"],
    "GradientAccumulationScheduler": ["scheduling={1: 2}"],
    "LearningRateMonitor": [],
    "ModelCheckpoint": ["save_top_k=-1"],
    "ModelPruning": ["pruning_fn=l1_unstructured", "amount=0.5"],  # but for resuming
    "ModelSummary": [],
    "OnExceptionCheckpoint": ["dirpath=x"],
    "ProgressBar": [],
    "RichModelSummary": [],
    "RichProgressBar": [],
    "StochasticWeightAveraging": ["swa_lrs=0.05", "swa_epoch_start=1"],
    "Timer": ["duration=00:01:00:00"],
    "TQDMProgressBar": [],
    "WeightAveraging": [],
}
REFUSED = {
    "BackboneFinetuning": "needs a model with a part named backbone",
    "BaseFinetuning": "needs a model with a part named backbone",
    "BatchSizeFinder": "Give --data.batch_size",
    "LambdaCallback": "LambdaCallback",
    "LearningRateFinder": "Use ./scripts/run lr_find",
    "SpikeDetection": "ends a run without a result",
    "ThroughputMonitor": "batch_size_fn",
}
FAST = ("GradientAccumulationScheduler", "ModelPruning", "Timer")


def words(name: str) -> list[Any]:
    arguments = [f"--trainer.callbacks.{one}" for one in WORK.get(name, [])]
    return ["fit", *SMALL, f"--trainer.callbacks+=lightning.pytorch.callbacks.{name}", *arguments]


def test_every_callback_has_a_row() -> None:
    assert {*WORK, *REFUSED} == set(lightning_callbacks.__all__)


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in WORK]
)
@pytest.mark.filterwarnings("ignore:.*WeightAveraging callback, but loading")
@pytest.mark.filterwarnings("ignore:.*without a model. The last model of")
@pytest.mark.filterwarnings("ignore:.*there is no last checkpoint available")
def test_a_callback_works(name: str, run: Run, data_root: Path) -> None:
    metrics = run(*words(name))["metrics"]
    tested = run("test", "--run", FOLDER)["metrics"]
    assert tested == {k: v for k, v in metrics.items() if k.startswith("test/")}
    assert run("fit", "--config", FOLDER / "config.yaml")["metrics"] == metrics
    (FOLDER / "results.json").unlink()
    if name == "ModelPruning":
        with pytest.raises(SystemExit):
            main(["fit", "--resume", str(FOLDER)])
        return
    later = FOLDER / "checkpoints" / "resume-step00000012.ckpt"
    later.unlink(missing_ok=True)
    assert run("fit", "--resume", FOLDER)["metrics"] == metrics


@pytest.mark.parametrize("name", REFUSED)
def test_a_callback_is_refused_in_words(
    name: str, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(word) for word in words(name)])
    error = capsys.readouterr().err
    assert REFUSED[name] in error
    assert len(error.splitlines()) <= 3
    assert not FOLDER.exists()


def test_a_new_run_does_not_start_from_the_exception_of_another(
    run: Run, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", *SMALL)
    Path("x").mkdir()
    shutil.copy(next(FOLDER.glob("checkpoints/best-*.ckpt")), "x/on_exception.ckpt")
    with pytest.raises(SystemExit):
        main([str(word) for word in words("OnExceptionCheckpoint")])
    assert "belongs to another run: it holds on_exception.ckpt" in capsys.readouterr().err


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    module = "lightning.pytorch.callbacks.device_stats_monitor._PSUTIL_AVAILABLE"
    monkeypatch.setattr(module, False)
    with pytest.raises(SystemExit):
        main([str(word) for word in words("DeviceStatsMonitor")])
    error = capsys.readouterr().err
    assert "`psutil` is not installed" in error
    assert len(error.splitlines()) <= 3
