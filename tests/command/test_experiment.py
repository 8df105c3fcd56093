"""The command line: files of a run, overrides, checkpoints, several processes."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.cli import main
from src.data import Line
from src.models import LinearRegression
from tests.conftest import PROJECT
from tests.inference.painting import my_digits

CONFIGS = PROJECT / "configs"
Run = Callable[..., dict[str, Any]]
QUICK = ["--data.val_size=50", "--trainer.max_epochs=2", "--trainer.enable_progress_bar=false"]


def fit(run: Run, config: str, *words: str) -> dict[str, Any]:
    return run("fit", "--config", CONFIGS / f"{config}.yaml", *QUICK, *words)


def test_a_run_writes_its_files_and_results(run: Run, data_root: Path, pictures: None) -> None:
    results = fit(run, "mnist_relu_mlp")
    folder = Path("lightning_logs/mnist_relu_mlp/version_0")
    written = {path.name.split(".")[0] for path in folder.iterdir()}
    dirty = (results["git"] or {}).get("dirty")
    assert written == {
        "config", "hparams", "events", "checkpoints", "results", "figures", "curves", "report",
        "test_predictions", "provenance", *(["changes"] if dirty else []),
    }  # fmt: skip
    assert set(results) == {
        "config", "command", "resumed_by", "model", "dataset", "seed", "metrics", "tested",
        "validated", "trained", "partial_epoch", "steps_made", "tags", "note", "local", "finished",
        "best_checkpoint", "epochs",
        "steps", "ended_by", "parameters", "seconds", "samples_per_second", "device",
        "precision", "versions", "git",
    }  # fmt: skip
    assert results["config"] == "mnist_relu_mlp"
    assert results["command"].startswith("python -m src.cli fit --config ")
    assert results["command"].endswith(" ".join(QUICK))
    assert results["device"].startswith("cpu")
    assert results["git"] is None or set(results["git"]) == {"commit", "dirty"}
    assert results["model"] == "ReLUMLP"
    assert results["dataset"]["name"] == "MNIST"
    assert str(data_root) in results["dataset"]["source"]
    assert results["dataset"]["sizes"] == {"train": 250, "val": 50, "test": 130}
    assert (results["epochs"], results["steps"]) == (2, 6)
    assert results["parameters"] == 109_386
    assert results["seed"] == 0
    assert set(results["metrics"]) >= {"train/acc", "val/loss", "val/acc", "test/loss", "test/acc"}
    assert set(results["seconds"]) == {"fit", "train", "epoch", "total"}
    assert results["samples_per_second"] > 0
    assert {"python", "torch", "lightning"} <= set(results["versions"])
    assert Path(results["best_checkpoint"]).is_file()
    torch.load(results["best_checkpoint"], weights_only=True)


def test_runs_do_not_overwrite_each_other(run: Run) -> None:
    for _ in range(2):
        fit(run, "mnist_logistic")
    assert {p.name for p in Path("lightning_logs/mnist_logistic").iterdir()} == {
        "version_0",
        "version_1",
    }


def test_a_saved_config_reproduces_the_metrics_exactly(run: Run) -> None:
    first = fit(run, "mnist_mlp", "--data.augment.rotation=10", "--seed_everything=3")
    second = run("fit", "--config", "lightning_logs/mnist_mlp/version_0/config.yaml")
    assert second["config"] == "mnist_mlp"
    assert second["metrics"] == first["metrics"]
    assert second["seed"] == 3


def test_another_seed_gives_another_loss(run: Run) -> None:
    first, second = fit(run, "mnist_mlp"), fit(run, "mnist_mlp", "--seed_everything=1")
    assert first["metrics"]["train/loss"] != second["metrics"]["train/loss"]


def test_fit_tests_the_best_checkpoint(run: Run) -> None:
    results = fit(run, "mnist_relu_mlp")
    config = "lightning_logs/mnist_relu_mlp/version_0/config.yaml"
    again = run("test", "--config", config, "--ckpt_path", results["best_checkpoint"])
    for name in ("test/loss", "test/acc"):
        assert again["metrics"][name] == results["metrics"][name]
    assert again["best_checkpoint"] == results["best_checkpoint"]


def test_flags_override_the_settings_of_a_checkpoint(run: Run) -> None:
    trained = fit(run, "mnist_relu_mlp")
    saved = ["--config", "lightning_logs/mnist_relu_mlp/version_0/config.yaml"]
    flags = ["--model.activation=tanh", "--data.test_size=20", "--data.batch_size=7"]
    results = run("test", *saved, "--ckpt_path", trained["best_checkpoint"], *flags)
    assert results["dataset"]["sizes"]["test"] == 20
    hparams = yaml.safe_load(
        Path("lightning_logs/mnist_relu_mlp/version_1/hparams.yaml").read_text()
    )
    assert (hparams["activation"], hparams["batch_size"]) == ("tanh", 7)


def test_predict_writes_every_example_in_order(run: Run, data_root: Path) -> None:
    results = fit(run, "mnist_relu_mlp", "--trainer.max_epochs=4")
    config = "lightning_logs/mnist_relu_mlp/version_0/config.yaml"
    main(["predict", "--config", config, "--ckpt_path", results["best_checkpoint"]])
    with Path("lightning_logs/mnist_relu_mlp/version_1/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    raw = (data_root / "MNIST/raw/t10k-labels-idx1-ubyte").read_bytes()[8:]
    assert [int(row["index"]) for row in rows] == list(range(130))
    assert [int(row["label"]) for row in rows] == list(raw)
    digits = [str(d) for d in range(10)]
    for row in rows:
        probabilities = [float(row[d]) for d in digits]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert row["prediction"] == digits[probabilities.index(max(probabilities))]
    right = sum(row["label"] == row["prediction"] for row in rows) / len(rows)
    assert right == pytest.approx(results["metrics"]["test/acc"])
    with Path("lightning_logs/mnist_relu_mlp/version_0/test_predictions.csv").open() as file:
        tested = list(csv.DictReader(file))
    assert tested == [{name: row[name] for name in tested[0]} for row in rows]


def test_predict_of_a_regression_writes_targets_and_values(run: Run) -> None:
    results = run("fit", "--config", CONFIGS / "line_noisy.yaml", "--trainer.max_epochs=20")
    config = "lightning_logs/line_noisy/version_0/config.yaml"
    main(["predict", "--config", config, "--ckpt_path", results["best_checkpoint"]])
    path = Path("lightning_logs/line_noisy/version_1/predictions.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    errors = [(float(r["target_0"]) - float(r["prediction_0"])) ** 2 for r in rows]
    assert sum(errors) / len(errors) == pytest.approx(results["metrics"]["test/mse"], rel=1e-5)
    with Path("lightning_logs/line_noisy/version_0/test_predictions.csv").open() as file:
        tested = list(csv.DictReader(file))
    assert [*tested[0]] == [*rows[0]] == ["index", "target_0", "prediction_0"]
    for one, row in zip(tested, rows, strict=True):
        assert [*map(float, one.values())] == pytest.approx([*map(float, row.values())], rel=1e-6)


def test_tensorboard_has_the_curves_hyperparameters_and_pictures(run: Run, pictures: None) -> None:
    results = fit(run, "mnist_relu_mlp", "--trainer.log_every_n_steps=1")
    events = EventAccumulator("lightning_logs/mnist_relu_mlp/version_0").Reload()
    scalars = events.Tags()["scalars"]
    assert {"train/loss", "train/lr", "train/acc", "val/loss", "val/acc", "test/acc"} <= set(
        scalars
    )
    assert [point.step for point in events.Scalars("train/loss")] == list(range(6))
    assert len({point.step for point in events.Scalars("val/acc")}) == 2
    assert events.Scalars("test/acc")[-1].value == pytest.approx(results["metrics"]["test/acc"])
    assert "test/confusion_matrix" in events.Tags()["images"]
    assert events.summary_metadata.keys() >= {
        "_hparams_/experiment",
        "_hparams_/session_start_info",
    }
    assert Path("lightning_logs/mnist_relu_mlp/version_0/figures/confusion_matrix.png").is_file()


def test_an_overlay_changes_only_its_own_settings(run: Run) -> None:
    fit(run, "mnist_lenet", "--config", str(CONFIGS / "with/augment.yaml"))
    config = yaml.safe_load(Path("lightning_logs/mnist_lenet/version_0/config.yaml").read_text())
    assert config["data"]["init_args"]["augment"]["rotation"] > 0
    assert config["data"]["init_args"]["pad"] == 2
    assert config["model"]["class_path"] == "src.models.LeNet"


@pytest.mark.parametrize("name", ["FashionMNIST", "KMNIST", "QMNIST"])
def test_one_flag_selects_the_data_set(run: Run, name: str) -> None:
    assert fit(run, "mnist_logistic", f"--data.name={name}")["dataset"]["name"] == name


def test_optimizer_and_scheduler_are_chosen_on_the_command_line(run: Run) -> None:
    results = fit(
        run, "mnist_logistic", "--model.optimizer=AdamW", "--model.optimizer.lr=0.02",
        "--model.scheduler=OneCycleLR", "--model.scheduler.max_lr=0.02",
        "--model.scheduler_interval=step", "--trainer.log_every_n_steps=1",
    )  # fmt: skip
    hparams = yaml.safe_load(
        Path("lightning_logs/mnist_logistic/version_0/hparams.yaml").read_text()
    )
    assert hparams["optimizer"]["class_path"].endswith("AdamW")
    assert hparams["optimizer"]["init_args"]["lr"] == 0.02
    events = EventAccumulator("lightning_logs/mnist_logistic/version_0").Reload()
    rates = [point.value for point in events.Scalars("train/lr")]
    assert len(rates) == results["steps"] == 6
    assert max(rates) > 2 * rates[0]
    assert rates[-1] < rates[0]


def test_plateau_scheduler_lowers_the_rate_without_improvement(run: Run) -> None:
    plateau = {"monitor": "val/loss", "factor": 0.1, "patience": 0, "threshold": 1e9}
    words = [f"--model.scheduler.{name}={value}" for name, value in plateau.items()]
    name = "--model.scheduler=lightning.pytorch.cli.ReduceLROnPlateau"
    epoch = "--model.scheduler_interval=epoch"
    results = fit(run, "mnist_logistic", name, *words, epoch, "--trainer.max_epochs=3")
    assert results["metrics"]["train/lr"] == pytest.approx(0.01 * 0.1**2)


def test_schedulers_accept_a_metric_logged_every_few_epochs(run: Run) -> None:
    name = "--model.scheduler=lightning.pytorch.cli.ReduceLROnPlateau"
    words = [name, "--model.scheduler.monitor=val/loss", "--trainer.max_epochs=20"]
    assert run("fit", "--config", CONFIGS / "regression_mlp.yaml", *words)["epochs"] == 20


def test_sixteen_bit_precision_runs_on_a_cpu(run: Run) -> None:
    assert fit(run, "mnist_lenet", "--trainer.precision=bf16-mixed")["precision"] == "bf16-mixed"
    assert fit(run, "mnist_lenet", "--trainer.precision=bf16-true")["precision"] == "bf16-true"


@pytest.mark.parametrize("precision", ["16-true", "bf16-true", "64-true"])
def test_weights_are_trained_in_every_precision(precision: str, run: Run) -> None:
    usual = fit(run, "mnist_logistic", "--model.optimizer.lr=0.01")["metrics"]["train/acc"]
    words = [f"--trainer.precision={precision}", "--model.optimizer.lr=0.01"]
    assert fit(run, "mnist_logistic", *words)["metrics"]["train/acc"] == pytest.approx(usual, 0.02)


def test_counts_are_exact_in_sixteen_bits(run: Run) -> None:
    results = fit(run, "mnist_relu_mlp", "--trainer.precision=bf16-true", "--data.batch_size=129")
    for name, n in (("train/acc", 250), ("val/acc", 50), ("test/acc", 130)):
        right = n * results["metrics"][name]
        assert right == pytest.approx(round(right), abs=1e-3)


def test_validate_gives_the_metrics_of_the_checkpoint(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    results = fit(run, "mnist_relu_mlp", "--trainer.max_epochs=1")
    config = "lightning_logs/mnist_relu_mlp/version_0/config.yaml"
    words = ["--config", config, "--ckpt_path", results["best_checkpoint"]]
    capsys.readouterr()
    main(["validate", *words, "--data.verify=false"])
    assert f"{results['metrics']['val/loss']:.4g}" in capsys.readouterr().out


def test_the_command_line_tests_a_checkpoint_saved_in_python(run: Run) -> None:
    model = LinearRegression(bias=False)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=1, enable_checkpointing=False, **quiet)
    trainer.fit(model, datamodule=Line(noise=0.33))
    trainer.save_checkpoint("mine.ckpt")
    config = CONFIGS / "line_noisy.yaml"
    results = run("test", "--config", config, "--ckpt_path", "mine.ckpt", "--data.noise=0")
    slope = model.net[1].weight.item()
    data = Line(noise=0.0)
    x = data.read()["test"].x
    expected = ((slope * x - 2 * x) ** 2).mean().item()
    assert results["metrics"]["test/mse"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # a warning for the user
@pytest.mark.parametrize("config", ["mnist_relu_mlp", "line_noisy"])
def test_training_continues_from_a_checkpoint_for_more_epochs(run: Run, config: str) -> None:
    small = ["--data.val_size=50"] if config.startswith("mnist") else []
    words = ["fit", "--config", CONFIGS / f"{config}.yaml", *small, "--model.scheduler=null"]
    first = run(*words, "--trainer.max_epochs=10")
    more = run(*words, "--trainer.max_epochs=12", "--ckpt_path", first["best_checkpoint"])
    assert more["epochs"] == 12
    assert more["samples_per_second"] > 0


def test_a_run_with_sanity_validation_completes(run: Run) -> None:
    assert fit(run, "mnist_logistic", "--trainer.num_sanity_val_steps=2")["epochs"] == 2


@pytest.mark.slow
def test_two_processes_share_one_run(data_root: Path, tmp_path: Path) -> None:
    words = ["--config", CONFIGS / "mnist_relu_mlp.yaml", "--config", CONFIGS / "with/ddp.yaml"]
    done = start(tmp_path, data_root, "fit", *words, *QUICK, "--trainer.accelerator=cpu")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    results = json.loads(Path("lightning_logs/mnist_relu_mlp/version_0/results.json").read_text())
    assert results["steps"] == 2 * 2  # 250 images in batches of 2 x 100
    assert results["dataset"]["sizes"]["test"] == 130
    assert len(list(Path("lightning_logs/mnist_relu_mlp").iterdir())) == 1


def test_without_logger_and_checkpoints_no_file_is_written(run: Run) -> None:
    main(["fit", "--config", str(CONFIGS / "mnist_logistic.yaml"), *QUICK, "--trainer.logger=false",
          "--trainer.enable_checkpointing=false"])  # fmt: skip
    assert not list(Path().iterdir())


def test_the_project_runs_from_another_directory(data_root: Path, tmp_path: Path) -> None:
    configs = ["--config", CONFIGS / "mnist_lenet.yaml", "--config", CONFIGS / "with/debug.yaml"]
    done = start(tmp_path, data_root, "fit", *configs, "--data.val_size=50")
    assert done.returncode == 0, done.stderr
    assert "LeNet on MNIST" in done.stdout
    for unwanted in ("Traceback", "Warning", "Tip"):
        assert unwanted not in done.stdout + done.stderr
    assert (tmp_path / "lightning_logs/mnist_lenet/version_0/results.json").is_file()


@pytest.mark.slow
def test_two_processes_give_the_metrics_of_one(run: Run, data_root: Path, tmp_path: Path) -> None:
    one = fit(run, "mnist_relu_mlp")
    saved = ["--config", "lightning_logs/mnist_relu_mlp/version_0/config.yaml",
             "--ckpt_path", one["best_checkpoint"]]  # fmt: skip
    two = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.accelerator=cpu"]
    for command in ("test", "predict"):
        done = start(tmp_path, data_root, command, *saved, *two)
        assert done.returncode == 0, done.stderr
    folder = Path("lightning_logs/mnist_relu_mlp")
    answers = [folder / f"version_{i}/test_predictions.csv" for i in (0, 1)]
    assert answers[0].read_bytes() == answers[1].read_bytes()
    tested = json.loads((folder / "version_1/results.json").read_text())
    assert tested["metrics"]["test/acc"] == one["metrics"]["test/acc"]
    assert tested["metrics"]["test/loss"] == pytest.approx(one["metrics"]["test/loss"], rel=1e-6)
    with (folder / "version_2/predictions.csv").open() as file:
        assert [int(row["index"]) for row in csv.DictReader(file)] == list(range(130))
    images = [path.absolute() for path in sorted(my_digits(3).iterdir())]
    done = start(tmp_path, data_root, "predict", *saved, *two, "--images", *images)
    assert done.returncode == ("should not be trusted" in done.stderr), done.stderr
    with (folder / "version_3/predictions.csv").open() as file:
        assert [row["file"] for row in csv.DictReader(file)] == list(map(str, images))
    assert (folder / "version_3/figures/own_images_01.png").is_file()


def start(folder: Path, data_root: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command on the small MNIST in a new process."""
    return subprocess.run(
        [sys.executable, "-m", "src.cli", *map(str, words), "--data.verify=false"],
        cwd=folder,
        env={**os.environ, "DATA_DIR": str(data_root), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_folder_of_two_classes_is_learned(run: Run, data_root: Path) -> None:
    options = ["--data.path", data_root / "images", "--data.val_size=10", "--trainer.max_epochs=10"]
    results = run("fit", "--config", CONFIGS / "folder_lenet.yaml", *options)
    assert results["metrics"]["test/acc"] == 1.0
    assert results["dataset"]["sizes"]["test"] == 16
