"""The learning rate search equals a plain loop and formula, and writes only a picture."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread

import scripts.lr_find.__main__ as lr_find
from scripts.lr_find.curve import BETA, raw, smooth, steepest
from src.data import MNIST
from src.errors import UserError
from src.models import Model
from src.plots.search import lr_search
from tests.conftest import PROJECT

CONFIGS = PROJECT / "configs"
SMALL = ["--data.val_size", "100", "--data.batch_size", "20"]  # ten batches an epoch
LOGISTIC = ["--config", str(CONFIGS / "mnist_logistic.yaml"), *SMALL]


@pytest.fixture
def search(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a search and returns rates, losses, smoothed, best and model."""
    monkeypatch.setenv("DATA_DIR", str(data_root))
    recorded: dict[str, Any] = {}
    report, fit = lr_find.report, lr_find.Search.fit

    def record_report(*args: Any) -> None:
        recorded.update(zip(("rates", "losses", "smoothed", "best"), args[1:], strict=True))
        report(*args)

    def record_fit(self: Any, model: Model, **kwargs: Any) -> None:
        recorded.update(model=model, before=copy.deepcopy(model.state_dict()))
        fit(self, model, **kwargs)

    def run(*words: str) -> dict[str, Any]:
        lr_find.main(words)
        return recorded

    monkeypatch.setattr(lr_find, "report", record_report)
    monkeypatch.setattr(lr_find.Search, "fit", record_fit)
    return run


def plain_loop(model: Model, weights: dict[str, Any], rates: list[float]) -> list[float]:
    """Return the losses of a handwritten SGD with momentum, over as many epochs as needed."""
    model.load_state_dict(weights)
    data = MNIST(batch_size=20, val_size=100)
    data.setup("fit")
    split = data.splits["train"]
    pixels = split.x[split.indices].float()
    velocity, losses = [torch.zeros_like(p) for p in model.parameters()], []
    loader = data.train_dataloader()
    for step, rate in enumerate(rates):
        if step % len(loader) == 0:
            loader.set_epoch(step // len(loader))
            batches = iter(loader)
        x, y = next(batches)
        x = (x.float() - pixels.mean()) / pixels.std(correction=0)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, v, g in zip(model.parameters(), velocity, gradients, strict=True):
                v.mul_(0.9).add_(g)
                p.sub_(rate * v)
    return losses


@pytest.fixture
def found(search: Any) -> dict[str, Any]:
    return search(*LOGISTIC, "--min_lr", "1e-5", "--max_lr", "1", "--steps", "60")


def test_the_losses_equal_those_of_a_plain_loop_with_rising_rate(found: dict[str, Any]) -> None:
    rates = [1e-5] + [1e-5 * 1e5 ** (step / 60) for step in range(2, 61)]  # as Lightning raises it
    assert found["rates"] == pytest.approx(rates[: len(found["rates"])], rel=1e-6)
    assert len(found["rates"]) > 30  # several epochs
    losses = plain_loop(found["model"], found["before"], rates[:30])
    assert found["losses"][:30] == pytest.approx(losses, rel=1e-4, abs=1e-6)


def test_the_model_is_unchanged(found: dict[str, Any]) -> None:
    for name, weight in found["model"].state_dict().items():
        assert torch.equal(weight, found["before"][name])
    assert found["model"].hparams["optimizer"]["init_args"]["lr"] == 0.01


def test_only_the_picture_is_written(found: dict[str, Any]) -> None:
    picture = Path("lightning_logs/lr_find/mnist_logistic.png")
    assert [path for path in Path().rglob("*") if path.is_file()] == [picture]
    assert imread(picture).std() > 0


def test_the_table_marks_the_suggestion_and_its_option_is_printed(
    capsys: pytest.CaptureFixture[str], found: dict[str, Any]
) -> None:
    text = capsys.readouterr().out
    rate = f"{found['rates'][found['best']]:.2g}"
    [marked] = [line for line in text.splitlines() if "suggestion" in line]
    assert rate in marked
    assert f"--model.scheduler.max_lr {rate}\n" in text  # OneCycleLR overrides optimizer.lr
    assert f"max_lr: {rate}   in place of 0.01, in model.init_args.scheduler.init_args" in text


@pytest.mark.parametrize("optimizer", [[], ["--model.scheduler", "ConstantLR"]])
def test_a_search_continues_over_epochs_of_one_step(
    search: Any, optimizer: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = search("--config", str(CONFIGS / "line.yaml"), *optimizer, "--steps", "100")
    assert len(found["rates"]) > 50
    assert 1e-4 < found["rates"][found["best"]] < 0.1
    assert "--model.optimizer.lr" in capsys.readouterr().out


def test_the_suggestion_is_the_steepest_descent() -> None:
    rates = np.logspace(-5, 0, 100)
    losses = 2 - np.tanh(2 * np.log10(rates / 0.003)) + 100 * np.maximum(rates - 0.3, 0)
    smoothed = smooth(losses, 5)
    end = smoothed.argmin() + 1
    slopes = np.gradient(smoothed[:end], np.log(rates[:end]))
    best = steepest(rates, losses, smoothed)
    assert best == slopes.argmin()
    assert rates[best] == pytest.approx(0.003, rel=0.1)


def test_smoothing_keeps_a_line_and_does_not_lag() -> None:
    line = np.arange(50.0)
    assert smooth(line, 6)[6:-6] == pytest.approx(line[6:-6])
    assert smooth(np.ones(50), 6) == pytest.approx(np.ones(50))


def test_raw_losses_are_recovered_from_the_running_mean() -> None:
    losses = np.random.default_rng(0).uniform(1, 2, 40)
    mean, recorded = 0.0, []
    for n, loss in enumerate(losses, start=1):
        mean = BETA * mean + (1 - BETA) * loss
        recorded.append(mean / (1 - BETA ** (n + 1)))
    assert raw(np.array(recorded)) == pytest.approx(losses)
    assert len(raw(np.array([*recorded, np.inf, np.nan]))) == 40
    assert len(raw(np.array([np.nan]))) == 0


@pytest.mark.parametrize(
    ("losses", "text"),
    [
        (np.linspace(1, 9, 200), "does not fall"),
        (1 + np.random.default_rng(0).normal(size=200), "does not fall"),
        (np.linspace(9, 1, 200), "--max_lr"),
        (np.array([]), "does not fall"),
    ],
)
def test_a_missing_suggestion_is_explained(losses: np.ndarray, text: str) -> None:
    with pytest.raises(UserError, match=text) as refused:
        steepest(np.logspace(-5, 0, len(losses)), losses, smooth(losses, 10))
    assert len(str(refused.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--min_lr", "1", "--max_lr", "0.1"], 2, "--min_lr < --max_lr, got 1 and 0.1"),
        (["--max_lr", "inf"], 2, "got 1e-06 and inf"),
        (["--steps", "5"], 2, "--steps 5"),
        (["--min_rl", "1"], 2, "--min_rl"),
        (["--model.hiden", "3"], 2, "hiden"),
        (["--ckpt_path", "x.ckpt"], 1, "--ckpt_path"),
        (["--trainer.accumulate_grad_batches", "2"], 1, "--data.batch_size"),
        (["--max_lr", "1e-5"], 1, "--max_lr"),
    ],
)
def test_errors_are_short_and_leave_no_files(
    search: Any, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        search(*LOGISTIC, *words)
    error = capsys.readouterr().err.rpartition("\r")[2].strip()
    assert stopped.value.code == code
    assert message in error
    assert len(error.splitlines()) <= 3
    assert not [path for path in Path().rglob("*") if path.is_file()]


@pytest.mark.slow
def test_an_interrupted_search_leaves_no_files(data_root: Path, tmp_path: Path) -> None:
    words = [*LOGISTIC, "--steps", "1000000", "--max_lr", "1e-5"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "DATA_DIR": str(data_root), "TMPDIR": str(scratch)}
    environment |= {"PYTHONPATH": str(PROJECT)}
    words += ["--data.verify", "false"]
    command = [sys.executable, "-m", "scripts.lr_find", *words]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (saved := list(scratch.rglob(".lr_find*.ckpt"))) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
        assert saved  # in a temporary folder
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_axis_ends_at_the_initial_loss() -> None:
    rates, losses = np.logspace(-5, 0, 50), np.r_[np.linspace(2, 1, 48), 1e9, 1e30]
    [axes] = lr_search(rates, losses, losses, 0.01).axes
    assert axes.get_xscale() == "log"
    assert axes.get_ylim() == pytest.approx((0.85, 2.3))
    suggestion, lowest = (line.get_xdata()[0] for line in axes.lines[-2:])
    assert suggestion == 0.01
    assert lowest == rates[47]
