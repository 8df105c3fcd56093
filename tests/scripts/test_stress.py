"""A stress test of runs: its numbers, its files, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.shared.trained import open_run
from scripts.stress.__main__ import main
from src.data import letters
from src.data.corruptions import CORRUPTIONS, corrupted
from src.inference.calibration import temperature
from tests.conftest import PROJECT

Train = Callable[..., Path]
SHORT = ("--data.val_size=50", "--trainer.max_epochs=1")


@pytest.fixture
def train(run: Any, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Return a function that trains a config briefly, and returns its run folder."""
    monkeypatch.setattr(letters, "FACES", ("DejaVuSans",))  # the others take seconds

    def trained(config: str, *words: str) -> Path:
        results = run("fit", "--config", PROJECT / f"configs/{config}.yaml", *words)
        return Path(results["best_checkpoint"]).parents[1]

    return trained


def written(folder: Path) -> dict[str, Any]:
    assert {path.name for path in folder.iterdir()} == {"stress.json", "stress.png", "stress.html"}
    return json.loads((folder / "stress.json").read_text())


def test_the_numbers_of_a_run(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train("mnist_logistic", *SHORT)
    capsys.readouterr()
    main([str(folder)])
    printed = capsys.readouterr().out
    found = written(folder / "stress")
    [record] = found["runs"]
    results = json.loads((folder / "results.json").read_text())
    assert record["acc"] == pytest.approx(results["metrics"]["test/acc"], abs=1e-6)
    nll = record["calibration"]["before"]["nll"]
    assert nll == pytest.approx(results["metrics"]["test/loss"], abs=1e-5)
    assert [*record["under"]] == [*CORRUPTIONS, "attack"]
    assert [*record["strange"]] == ["pixel noise", "letters", "KMNIST", "FashionMNIST"]
    trained = open_run(str(folder), "the test")
    trained.data.setup("fit")
    val = trained.data.splits["val"]
    held_out = trained.probabilities(val.x[val.indices])
    found_by = temperature(held_out.detach(), val.y[val.indices])
    assert record["calibration"]["temperature"] == pytest.approx(found_by, rel=1e-4)
    split = trained.data.splits["test"]
    x = split.x.float() / 255
    noisy = corrupted("noise", x, 0, [*CORRUPTIONS].index("noise"), 0)
    answers = trained.probabilities(255 * noisy.flatten(0, 1)).argmax(dim=1).view(5, -1)
    expected = (answers == split.y).float().mean(dim=1).tolist()
    assert record["under"]["noise"]["acc"] == pytest.approx(expected, abs=1e-6)
    assert f"{100 * expected[2]:.2f}" in printed
    assert max(map(len, printed.splitlines()[:30])) <= 80
    assert "never to choose" in printed
    page = (folder / "stress/stress.html").read_text()
    assert "never to choose" in page
    assert page.count("data:image/png;base64") == 4
    assert "src=" not in page.replace('src="data:', "")


@pytest.mark.slow
def test_a_test_repeats_and_overwrites_nothing(train: Train) -> None:
    folder = train("mnist_logistic", *SHORT)
    for _ in range(2):
        main([str(folder), "--samples", "40"])
    main([str(folder), "--samples", "40", "--seed", "1"])
    first, second, other = (written(folder / f"stress{end}") for end in ("", "-2", "-3"))
    assert first == second
    assert first["test_set"]["samples"] == 40
    assert first["runs"] != other["runs"]


@pytest.mark.slow
def test_runs_side_by_side_get_the_same_images(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [train(config, *SHORT) for config in ("mnist_logistic", "mnist_relu_mlp")]
    main([*map(str, folders), "--samples", "60"])
    printed = capsys.readouterr().out
    found = written(Path("lightning_logs/stress/version_0"))
    assert [record["run"] for record in found["runs"]] == [
        "mnist_logistic/version_0", "mnist_relu_mlp/version_0"
    ]  # fmt: skip
    assert "relu_mlp ┃" in printed
    main([str(folders[1]), "--samples", "60"])
    assert written(folders[1] / "stress")["runs"] == found["runs"][1:]


@pytest.mark.slow
def test_images_that_are_not_digits_have_no_pen(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train("folder_lenet", "--data.path=images", *SHORT)
    main([str(folder)])
    found = written(folder / "stress")
    assert not [name for name in found["runs"][0]["under"] if "pen" in name]
    assert [*found["runs"][0]["strange"]] == ["pixel noise"]
    assert "for MNIST's digits only" in found["skipped"][0]
    assert "for MNIST's digits only" in capsys.readouterr().out


@pytest.mark.slow
def test_fashion_has_its_own_strange_images(train: Train) -> None:
    folder = train("mnist_logistic", "--data.name=FashionMNIST", *SHORT)
    main([str(folder), "--samples", "20"])
    assert [*written(folder / "stress")["runs"][0]["strange"]] == [
        "pixel noise", "digits", "KMNIST"
    ]  # fmt: skip


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(words)
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) <= 3
    return int(str(stop.value.code)), error


@pytest.mark.parametrize("config", ["line", pytest.param("noise_lenet", marks=pytest.mark.slow)])
def test_a_regression_is_refused(
    config: str, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(config, "--trainer.max_epochs=1")
    code, error = refusal([str(folder)], capsys)
    assert code == 1
    assert "stress needs a run on images" in error
    assert not (folder / "stress").exists()


@pytest.mark.slow
def test_runs_on_other_data_are_refused(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [train("mnist_logistic", *SHORT, *more) for more in ([], ["--data.test_size=99"])]
    code, error = refusal([*map(str, folders)], capsys)
    assert code == 1
    assert "have different test sets" in error
    assert not Path("lightning_logs/stress").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "RUN"), (["nowhere"], "is not a run folder"), (["x", "--samples", "0"], "from 1 on"),
     (["x", "--sample", "3"], "did you mean --samples"), (["x", "--seed", "a"], "--seed")],
)  # fmt: skip
def test_mistakes_on_the_command_line_are_named(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(words, capsys)[1]


@pytest.mark.slow
@pytest.mark.parametrize("config", ["mnist_sigmoid_mlp", "mnist_mlp", "mnist_lenet"])
def test_every_rung_of_the_ladder(config: str, train: Train) -> None:
    folder = train(config, *SHORT)
    main([str(folder), "--samples", "50"])
    run = written(folder / "stress")["runs"][0]
    under = torch.tensor([one["acc"] for one in run["under"].values()])
    assert under.shape == (9, 5)  # corruptions and the attack, in five strengths
    assert under[-1, -1] <= run["acc"]  # the attack never helps
