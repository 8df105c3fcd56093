"""In which way each callback of Lightning and each trainer flag has steps made; all are equal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from src.models import LogisticRegression
from src.runs.checkpoint_io import read_checkpoint
from src.training.epoch_loop import EpochLoop
from tests.callbacks.test_lightning_callbacks import WORK
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
FIT = ["fit", "--config", str(PROJECT / "configs/mnist_logistic.yaml"), "--data.val_size=50",
       "--data.batch_size=30", "--trainer.max_epochs=3",
       "--trainer.log_every_n_steps=4"]  # fmt: skip
STRETCHES, LIGHTNING = "in stretches", "one by one, by Lightning: "
EACH = "one by one: {} listens to each batch"
OF_CALLBACKS = {
    **dict.fromkeys(WORK, STRETCHES),
    **{
        name: EACH.format(name)
        for name in ("EMAWeightAveraging", "RichProgressBar", "Timer", "TQDMProgressBar",
                     "WeightAveraging")
    },
    "GradientAccumulationScheduler": f"{LIGHTNING}accumulated gradients",
    "StochasticWeightAveraging": f"{LIGHTNING}StochasticWeightAveraging",
}  # fmt: skip
OF_SETTINGS = {
    "accumulate_grad_batches=2": f"{LIGHTNING}accumulated gradients",
    "check_val_every_n_epoch=2": STRETCHES,
    "deterministic=true": STRETCHES,
    "enable_checkpointing=false": STRETCHES,
    "enable_progress_bar=false": STRETCHES,
    "gradient_clip_val=1": f"{LIGHTNING}clipped gradients",
    "limit_train_batches=0.5": STRETCHES,
    "limit_val_batches=1": STRETCHES,
    "log_every_n_steps=0": STRETCHES,
    "log_every_n_steps=1": STRETCHES,
    "logger=false": STRETCHES,
    "max_steps=11": STRETCHES,
    "max_time=00:01:00:00": EACH.format("Timer"),
    "min_epochs=2": STRETCHES,
    "num_sanity_val_steps=1": STRETCHES,
    "precision=64-true": f"{LIGHTNING}precision 64-true",
    "precision=bf16-mixed": f"{LIGHTNING}precision bf16-mixed",
    "precision=bf16-true": f"{LIGHTNING}precision bf16-true",
    "profiler=simple": f"{LIGHTNING}a profiler",
    "reload_dataloaders_every_n_epochs=1": STRETCHES,
    "val_check_interval=0.5": STRETCHES,
}
CASES = {
    **{name: ([f"--trainer.callbacks+=lightning.pytorch.callbacks.{name}",
               *(f"--trainer.callbacks.{one}" for one in WORK[name])], way)
       for name, way in OF_CALLBACKS.items()},
    **{setting: ([f"--trainer.{setting}"], way) for setting, way in OF_SETTINGS.items()},
}  # fmt: skip
FAST = ("LearningRateMonitor", "Timer", "StochasticWeightAveraging", "log_every_n_steps=1",
        "max_steps=11", "val_check_interval=0.5", "precision=bf16-mixed")  # fmt: skip


class OwnStep(LogisticRegression):
    """A user's model: its steps are made by Lightning."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx)


@pytest.mark.filterwarnings("ignore:You requested to overfit")
@pytest.mark.parametrize(
    "case", [one if one in FAST else pytest.param(one, marks=pytest.mark.slow) for one in CASES]
)
def test_a_run_is_the_same_in_every_way(
    case: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    words, way = CASES[case]
    if case == "StochasticWeightAveraging":
        words = [*words, "--model.scheduler=null"]  # it takes none that steps within an epoch
    alone, step = [], EpochLoop._unheard_step
    monkeypatch.setattr(EpochLoop, "_unheard_step", lambda *args: alone.append(1) or step(*args))
    ours = run(*FIT, *words)
    assert ours["steps_made"] == way
    assert (len(alone) > ours["steps"] / 2) == (way == STRETCHES)
    lightnings = run(*FIT, *words, "--model=tests.training.test_ways.OwnStep")
    assert lightnings["steps_made"] == f"{LIGHTNING}batches or a training step of your own"
    assert ours["metrics"] == lightnings["metrics"]
    assert rows(0) == rows(1)
    for one, other in zip(weights(ours), weights(lightnings), strict=True):
        assert torch.equal(one, other)


def rows(version: int) -> list[str]:
    """Return the rows of curves.csv, sorted; none without one."""
    path = Path(f"lightning_logs/mnist_logistic/version_{version}/curves.csv")
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted(line for line in lines if "DeviceStatsMonitor" not in line)  # differs each time


def weights(results: dict[str, Any]) -> list[Tensor]:
    best = results["best_checkpoint"]
    return [*read_checkpoint(Path(best))["state_dict"].values()] if best else []


def test_the_table_says_how_steps_were_made(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(*FIT, "--trainer.gradient_clip_val=1")
    assert "one by one, by Lightning: clipped gradients" in capsys.readouterr().out
    results = Path("lightning_logs/mnist_logistic/version_0/results.json")
    assert json.loads(results.read_text())["steps_made"].endswith("clipped gradients")
