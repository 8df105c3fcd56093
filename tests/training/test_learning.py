"""The models reach a minimum accuracy, on small data and on the real MNIST files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.cli import main
from src.data import Line
from src.models import LinearRegression
from src.models.linear_regression import least_squares
from tests.conftest import PROJECT, REAL_DATA

Run = Callable[..., dict[str, Any]]
ACCURACIES = {
    "mnist_logistic": 0.920,
    "mnist_sigmoid_mlp": 0.975,
    "mnist_relu_mlp": 0.975,
    "mnist_mlp": 0.982,
    "mnist_lenet": 0.989,
}


def config(name: str) -> list[str]:
    return ["fit", "--config", str(PROJECT / f"configs/{name}.yaml")]


def learned(results: dict[str, Any]) -> list[float]:
    last = LinearRegression.load_from_checkpoint(results["best_checkpoint"], weights_only=True)
    return [value for p in last.parameters() for value in p.flatten().tolist()]


@pytest.mark.parametrize(
    ("name", "words", "minimum"),
    [
        ("mnist_logistic", ["--model.optimizer.lr=0.05"], 0.98),
        ("mnist_sigmoid_mlp", ["--model.optimizer.lr=0.1"], 0.98),
        ("mnist_relu_mlp", [], 0.98),
        ("mnist_mlp", [], 0.98),
        ("mnist_lenet", ["--data.augment.shift=1"], 0.9),
    ],
)
def test_each_mnist_config_learns_toy_digits(
    name: str, words: list[str], minimum: float, run: Run
) -> None:
    quick = ["--data.val_size=50", "--data.batch_size=20", "--trainer.max_epochs=20"]
    constant = ["--model.scheduler=null"]
    results = run(*config(name), *quick, *constant, *words)
    assert results["metrics"]["test/acc"] >= minimum


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_noisy_line_ends_near_least_squares(run: Run, seed: int) -> None:
    results = run(*config("line_noisy"), f"--seed_everything={seed}")
    split = Line(slope=2.0, noise=0.33, num_points=101).read()["train"]
    x, y = split.x.numpy().astype(float), split.y.numpy().astype(float)
    assert learned(results)[0] == pytest.approx((x * y).sum() / (x * x).sum(), abs=0.02)


def test_the_regression_mlp_reduces_its_loss_tenfold(run: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    results = run(*config("regression_mlp"))
    events = EventAccumulator("lightning_logs/regression_mlp/version_0").Reload()
    losses = [point.value for point in events.Scalars("train/loss")]
    assert losses[-1] < losses[0] / 10
    assert results["dataset"]["noise_floor"] == pytest.approx(0.01)
    assert results["metrics"]["test/mse"] > results["dataset"]["noise_floor"]


def test_lenet_memorises_noise_and_does_not_generalise(run: Run) -> None:
    results = run(*config("noise_lenet"), "--trainer.max_epochs=150")
    assert results["metrics"]["train/loss"] < 0.1  # predicting 0 gives 1
    assert results["metrics"]["val/loss"] > 0.9


def test_closed_form_equals_numpy() -> None:
    x, y = torch.randn(50, 3), torch.randn(50, 1)
    columns = np.concatenate([x.numpy(), np.ones((50, 1))], axis=1)
    expected, *_ = np.linalg.lstsq(columns, y.numpy(), rcond=None)
    np.testing.assert_allclose(least_squares(x, y, bias=True).numpy(), expected, atol=1e-6)


def test_learned_and_closed_form_are_printed_side_by_side(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run(*config("line"))
    printed = capsys.readouterr().out
    assert "least squares" in printed
    for value, optimum in zip(learned(results), (2.0, 3.0), strict=True):
        assert f"{value:.6f}" in printed
        assert f"{optimum:.6f}" in printed


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", sorted(ACCURACIES))
def test_the_configs_reach_their_accuracy_on_real_mnist(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", REAL_DATA)
    torch.set_num_threads(2)
    main(config(name))
    results = json.loads(Path(f"lightning_logs/{name}/version_0/results.json").read_text())
    assert results["metrics"]["test/acc"] >= ACCURACIES[name]


@pytest.mark.real_data
def test_one_epoch_on_real_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", REAL_DATA)
    main([*config("mnist_logistic"), "--trainer.max_epochs=1"])
    path = Path("lightning_logs/mnist_logistic/version_0/results.json")
    results = json.loads(path.read_text())
    assert results["dataset"]["sizes"] == {"train": 55_000, "val": 5_000, "test": 10_000}
    assert results["metrics"]["test/acc"] > 0.90
