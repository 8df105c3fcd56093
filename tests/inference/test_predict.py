"""`predict --run RUN --images ...`: table, CSV and picture from a run and image files."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from src.cli import main
from src.data import MNIST
from src.models import LogisticRegression
from src.runs.checkpoint_io import read_checkpoint
from tests.conftest import PROJECT, REAL_DATA, doubts_allowed
from tests.inference.painting import my_digits, painted

Run = Callable[..., dict[str, Any]]
CONFIGS = {
    "mnist_logistic": [], "mnist_sigmoid_mlp": [], "mnist_relu_mlp": [], "mnist_lenet": [],
    "mnist_mlp": ["--model.loss=mse"],
}  # fmt: skip


def fit(run: Run, config: str, *words: str) -> Path:
    """Train for an epoch on the small data and return the run folder."""
    path = str(PROJECT / f"configs/{config}.yaml")
    run("fit", "--config", path, "--data.val_size=50", "--trainer.max_epochs=1", *words)
    return Path(f"lightning_logs/{config}/version_0")


def predict(*words: str) -> None:
    """Run `predict`, which ends with exit code 1 if a prediction is not to be trusted."""
    with doubts_allowed():
        main(["predict", *words])


def predictions(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def stopped(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit code and the error output of a command that fails."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(words)
    return int(str(stop.value.code)), capsys.readouterr().err


@pytest.mark.parametrize("config", CONFIGS)
def test_predict_needs_only_the_run_folder(
    config: str, run: Run, pictures: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder, images = fit(run, config, "--figures.only=[]", *CONFIGS[config]), my_digits()
    monkeypatch.setenv("DATA_DIR", "nowhere")  # the training data is not needed
    moved = shutil.move(folder, "elsewhere")
    predict("--run", str(moved), "--images", str(images / "0.png"), str(images))
    rows = predictions(Path(moved, "predict"))
    assert [row["file"] for row in rows] == [f"my_digits/{i}.png" for i in (0, 0, 1, 2, 3, 4, 5)]
    assert rows[0] == rows[1]
    for row in rows:
        probabilities = [float(row[str(digit)]) for digit in range(10)]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert row["prediction"] == str(np.argmax(probabilities))
    assert "my_digits/5.png" in capsys.readouterr().out
    with Image.open(Path(moved, "predict/figures/own_images_01.png")) as picture:
        assert min(picture.size) > 300


def test_probabilities_equal_softmax_regression_in_numpy(run: Run) -> None:
    """Numpy gets pixels normalised by the mean and deviation of the training images."""
    folder, images = fit(run, "mnist_logistic"), my_digits(3)
    predict("--run", str(folder), "--images", str(images))
    checkpoint = read_checkpoint(next(folder.glob("checkpoints/best-*.ckpt")))
    weights = checkpoint["state_dict"]["net.1.weight"].double().numpy()
    data = MNIST()
    data.prepare_data()
    data.val_size = 50
    data.setup("fit")
    train = data.splits["train"]
    seen = train.x[train.indices].double().numpy()
    for i, row in enumerate(predictions(folder / "predict")):
        pixels = data.as_example(Image.open(images / f"{i}.png")).double().numpy()
        logits = weights @ ((pixels - seen.mean()) / seen.std()).ravel()
        expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        found = [float(row[str(digit)]) for digit in range(10)]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_unreadable_files_are_named_and_counted_with_exit_code_1(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = fit(run, "mnist_logistic"), my_digits()
    (images / "3.png").write_text("no image")
    code, error = stopped(["predict", "--run", str(folder), "--images", str(images)], capsys)
    assert code == 1
    assert "left out: my_digits/3.png: it is none of PNG" in error
    assert "1 of 6 files could not be predicted" in error
    assert len(predictions(folder / "predict")) == 5


def test_without_predictions_no_folder_is_left(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fit(run, "mnist_logistic")
    Path("x.png").write_text("no image")
    for name in ("x.png", "gone.png"):
        code, error = stopped(["predict", "--run", str(folder), "--images", name], capsys)
        assert code == 1
        assert name in error
    assert [path.name for path in folder.parent.iterdir()] == ["version_0"]
    assert not (folder / "predict").exists()


def test_images_are_refused_for_runs_on_other_data(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=10")
    code, error = stopped(["predict", "--run", "latest", "--images", "x.png"], capsys)
    assert (code, error) == (1, "error: --images x.png is for runs on images, not on Line.\n")


def test_a_checkpoint_without_normalisation_is_refused(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = fit(run, "mnist_logistic"), my_digits(1)
    best = next(folder.glob("checkpoints/best-*.ckpt"))
    checkpoint = read_checkpoint(best)
    del checkpoint["MNIST"]
    torch.save(checkpoint, best)
    code, error = stopped(["predict", "--run", str(folder), "--images", str(images)], capsys)
    assert code == 1
    assert "does not say how its images were normalised" in error


def test_other_data_is_normalised_as_the_training_images(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On other data, a model still gets pixels on the scale that it was trained on."""
    folder = fit(run, "mnist_logistic")
    state = read_checkpoint(next(folder.glob("checkpoints/best-*.ckpt")))["MNIST"]
    used: list[torch.Tensor] = []
    forward = LogisticRegression.forward
    monkeypatch.setattr(
        LogisticRegression, "forward", lambda self, x: used.append(x) or forward(self, x)
    )
    main(["predict", "--run", str(folder), "--data.source=digits"])
    black = ((0 - state["mean"]) / state["std"]).item()
    assert used[0].min().item() == pytest.approx(black)


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_every_command_after_fit_accepts_a_run(command: str, run: Run) -> None:
    folder = fit(run, "mnist_logistic", "--trainer.logger.version=mine")
    main([command, "--run", str(folder.with_name("mine"))])
    written = folder.with_name("mine") / command
    config = (written / "config.yaml").read_text()
    assert config.startswith(f"# {command}:")
    assert "\nrun:" not in config
    main([command, "--config", str(written / "config.yaml")])  # repeats it
    assert folder.with_name("version_0").is_dir()
    main([command, "--run", str(folder.with_name("mine"))])
    assert written.with_name(f"{command}-2").is_dir()


def test_the_tested_checkpoint_of_several_is_used(run: Run) -> None:
    folder = fit(run, "mnist_logistic", "--checkpoint.save_top_k=-1", "--trainer.max_epochs=3")
    chosen = Path(json.loads((folder / "results.json").read_text())["best_checkpoint"]).name
    assert len(list(folder.glob("checkpoints/best-*.ckpt"))) == 3
    main(["predict", "--run", str(folder)])
    assert chosen in (folder / "predict/config.yaml").read_text()


def test_without_results_the_only_best_checkpoint_is_used(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fit(run, "mnist_logistic")
    (folder / "results.json").unlink()
    main(["predict", "--run", str(folder)])
    best = next(folder.glob("checkpoints/best-*.ckpt"))
    shutil.copy(best, best.with_name("best-epoch07.ckpt"))
    code, error = stopped(["predict", "--run", str(folder)], capsys)
    assert code == 1
    assert "found best-epoch00.ckpt, best-epoch07.ckpt" in error
    code, error = stopped(["predict", "--run", "gone"], capsys)
    assert error.startswith("error: --run gone is not a run folder")


def test_a_run_on_an_image_folder_predicts_its_test_set_and_own_images(
    run: Run, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Path(shutil.copytree(data_root / "images", "[old]/pets"))
    words = ["--config", str(PROJECT / "configs/folder_lenet.yaml"), "--data.val_size=10"]
    run("fit", *words, f"--data.path={place}", "--trainer.max_epochs=1")
    folder = Path("lightning_logs/folder_lenet")
    main(["predict", "--run", str(folder / "version_0")])
    main(["predict", "--run", str(folder / "version_0"), "--images", "[old]/pets/test/cat"])
    assert {row["label"] for row in predictions(folder / "version_0/predict")} == {"cat", "dog"}
    rows = predictions(folder / "version_0/predict-2")
    assert rows[0]["file"] == "[old]/pets/test/cat/000.png"
    assert "[old]/pets/test/cat/000.png" in capsys.readouterr().out  # not taken as markup
    for split in ("train", "test"):
        (place / split / "cat").rename(place / split / "zebra")  # now after dog
    words = ["predict", "--run", str(folder / "version_0")]
    code, error = stopped(words, capsys)
    assert code == 1
    assert "not trained on: zebra.\nIt knows cat, dog." in error
    main([*words, "--images", "[old]/pets/test/zebra"])  # own images need no folder
    assert predictions(folder / "version_0/predict-3") == [
        {**row, "file": row["file"].replace("cat", "zebra")} for row in rows
    ]


def test_ckpt_path_selects_one_of_several_checkpoints(run: Run) -> None:
    folder = fit(run, "mnist_logistic", "--checkpoint.save_top_k=-1", "--trainer.max_epochs=2")
    (folder / "results.json").unlink()
    first = folder / "checkpoints/best-epoch00.ckpt"
    words = ["predict", "--run", str(folder), "--ckpt_path", str(first)]
    main([*words, "--trainer.logger.version=mine"])
    assert str(first) in (folder.with_name("mine") / "config.yaml").read_text()


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"metrics": 3}'])
def test_a_damaged_results_file_is_named(
    text: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fit(run, "mnist_logistic")
    (folder / "results.json").write_text(text)
    code, error = stopped(["predict", "--run", str(folder)], capsys)
    assert (code, "results.json is damaged" in error) == (1, True)


def test_a_run_is_required_and_the_latest_one_is_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "predict needs a run" in stopped(["predict", "--images", "x.png"], capsys)[1]
    fit(run, "mnist_logistic")
    predict("--run", "latest", "--images", str(my_digits(1)))
    assert "The latest run is lightning_logs/mnist_logistic/version_0." in capsys.readouterr().out
    config = str(PROJECT / "configs/mnist_lenet.yaml")
    error = stopped(["test", "--run", "latest", "--config", config], capsys)[1]
    assert "has no run of" in error


def test_two_digits_none_and_doubts_are_told_and_the_others_predicted(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = fit(run, "mnist_logistic"), my_digits(1)
    one = Image.open(images / "0.png").convert("L")
    two = Image.new("L", (180, 90), 255)
    two.paste(one, (0, 0))
    two.paste(one, (90, 0))
    two.save(images / "two.png")
    Image.new("L", (90, 90), 240).save(images / "none.png")
    code, error = stopped(["predict", "--run", str(folder), "--images", str(images)], capsys)
    assert code == 1
    assert "left out: my_digits/two.png: 2 digits found; crop to one" in error
    assert "left out: my_digits/none.png: no digit found" in error
    assert "error: 2 of 3 files could not be predicted" in error
    assert "1 of 3 predictions should not be trusted: their probability is below 90%" in error
    [row] = predictions(folder / "predict")
    likely = max(float(row[str(digit)]) for digit in range(10))
    assert (likely < 0.9, row["remark"]) == (True, "not to be trusted")


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("config", ["mnist_logistic", "mnist_relu_mlp", "mnist_lenet"])
def test_painted_digits_are_read_as_well_as_the_originals(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The accuracy on 2,000 painted test digits is at most 1 % below that on the originals."""
    monkeypatch.setenv("DATA_DIR", REAL_DATA)
    overlay = [] if config == "mnist_logistic" else [str(PROJECT / "configs/with/fast.yaml")]
    path = str(PROJECT / f"configs/{config}.yaml")
    words = [word for file in (path, *overlay) for word in ("--config", file)]
    main(["fit", *words, "--trainer.max_epochs=2"])
    _, (x, labels) = MNIST().load()
    chosen = np.random.default_rng(0).permutation(len(x))[:2000]
    Path("painted").mkdir()
    for i in chosen.tolist():
        content, kind = painted(x[i, 0].numpy(), np.random.default_rng(i))
        Path(f"painted/{i}.{kind}").write_bytes(content)
    folder = Path(f"lightning_logs/{config}")
    main(["predict", "--run", str(folder / "version_0")])
    predict("--run", str(folder / "version_0"), "--images", "painted")
    all_originals = predictions(folder / "version_0/predict")
    originals = [all_originals[i]["prediction"] == str(labels[i].item()) for i in chosen]
    found = [
        row["prediction"] == str(labels[int(Path(row["file"]).stem)].item())
        for row in predictions(folder / "version_0/predict-2")
    ]
    found += [False] * (2000 - len(found))  # told to be none, or two
    with capsys.disabled():
        print(f" {config}: originals {np.mean(originals):.2%}, painted {np.mean(found):.2%}")
    assert np.mean(found) > np.mean(originals) - 0.01
