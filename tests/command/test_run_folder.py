"""The folder of a run: named by its experiment, and left only by a run that has begun."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.cli import main
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
LINE = ["fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=10"]
MNIST = ["fit", "--config", str(PROJECT / "configs/mnist_logistic.yaml"), "--data.val_size=50",
         "--trainer.max_epochs=1"]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        [*LINE, "--model.optimizer.lr=-1"],
        [*LINE, "--data.num_points=0"],
        [*LINE, "--trainer.accelerator=gpu"],
        [*LINE, "--checkpoint.monitor=val/acc"],
        [*MNIST, "--data.source=mnist", "--data.root=missing"],
        [*MNIST, "--data.val_size=400"],
    ],
    ids=lambda words: words[-1],
)
def test_a_refused_command_leaves_no_folder(words: list[str], run: Run) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code in (1, 2)
    assert not list(Path().glob("lightning_logs/*/*"))


def test_a_run_that_fails_after_its_first_step_keeps_its_folder(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, trainer: Any, *_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("src.callbacks.StepSeed.on_train_batch_start", fail)
    with pytest.raises(RuntimeError, match="broken"):
        main(LINE)
    [folder] = Path("lightning_logs/line").iterdir()
    assert list(folder.glob("checkpoints/resume-*.ckpt"))


def test_predictions_are_kept_where_one_image_cannot_be_read(run: Run) -> None:
    run(*MNIST)
    Path("images").mkdir()
    image = Image.new("L", (28, 28))
    image.paste(255, (12, 4, 16, 24))
    image.save("images/good.png")
    Path("images/bad.png").write_text("no image")
    folder = Path("lightning_logs/mnist_logistic/version_0")
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--run", str(folder), "--images", "images"])
    assert stop.value.code == 1
    assert len((folder / "predict/predictions.csv").read_text().splitlines()) == 2


def test_an_evaluation_is_recorded_under_the_name_of_its_config(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*LINE)
    capsys.readouterr()
    folder = Path("lightning_logs/line/version_0")
    main(["test", "--run", str(folder)])
    assert json.loads((folder / "test/results.json").read_text())["config"] == "line"
    assert "tensorboard --logdir lightning_logs " in capsys.readouterr().out


def test_the_config_of_a_named_run_repeats_it_in_a_new_folder(run: Run) -> None:
    first = run(*LINE, "--trainer.logger.version=mine")
    config = Path("lightning_logs/line/mine/config.yaml")
    logger = yaml.safe_load(config.read_text())["trainer"]["logger"]
    assert logger["init_args"]["version"] is None
    assert run("fit", "--config", config)["metrics"] == first["metrics"]
    assert (config.parents[1] / "version_0/results.json").is_file()
    run("test", "--run", config.parent)
    assert (config.parent / "test/results.json").is_file()


@pytest.mark.parametrize("words", [["fit", "--resume"], ["test", "--run"]])
def test_an_evaluation_is_neither_resumed_nor_evaluated(
    words: list[str], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*LINE)
    folder = Path("lightning_logs/line/version_0")
    main(["test", "--run", str(folder)])
    with pytest.raises(SystemExit):
        main([*words, str(folder / "test")])
    assert "fit has not written its config.yaml" in capsys.readouterr().err


def test_validate_writes_results_but_no_report(run: Run, pictures: None) -> None:
    run(*LINE)
    folder = Path("lightning_logs/line/version_0")
    main(["validate", "--run", str(folder)])
    assert (folder / "report.html").is_file()
    assert (folder / "validate/results.json").is_file()
    assert not (folder / "validate/report.html").exists()


def test_a_config_given_as_text_names_its_run_after_the_model(run: Run) -> None:
    text = "{model: LogisticRegression, data: MNIST}"
    run("fit", "--config", text, "--data.val_size=50", "--trainer.max_epochs=1")
    assert Path("lightning_logs/LogisticRegression/version_0/results.json").is_file()


def test_the_default_root_dir_holds_the_runs(run: Run) -> None:
    line = ["fit", "--config", PROJECT / "configs/line.yaml", "--trainer.max_epochs=1"]
    main([*map(str, line), "--trainer.default_root_dir=elsewhere"])
    assert Path("elsewhere/line/version_0/results.json").is_file()
    main([*map(str, line), "--trainer.default_root_dir=a", "--trainer.logger.save_dir=b"])
    assert Path("b/line/version_0/results.json").is_file()


@pytest.mark.parametrize("profiler", ["simple", "advanced"])
def test_a_profile_is_written_into_the_run_folder(
    profiler: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["fit", "--config", PROJECT / "configs/line.yaml", "--trainer.max_epochs=1"]
    run(*line, f"--trainer.profiler={profiler}")
    path = Path("lightning_logs/line/version_0/fit-profile.txt")
    assert "run_training_batch" in path.read_text()
    assert str(path) in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["line", "mnist_logistic", "mnist_sigmoid_mlp", "mnist_mlp", "mnist_lenet"]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_the_graph_of_each_model_is_logged_without_moving_its_numbers(name: str, run: Run) -> None:
    words = ["fit", "--config", PROJECT / f"configs/{name}.yaml", "--trainer.max_epochs=1"]
    words += ["--data.val_size=50"] if name != "line" else []
    metrics = run(*words)["metrics"]
    assert run(*words, "--trainer.logger.log_graph=true")["metrics"] == metrics
    events = EventAccumulator(f"lightning_logs/{name}/version_1")
    events.Reload()
    assert "weight" in str(events.Graph())


def test_a_run_gets_the_folder_that_is_named_whatever_its_loggers(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    loggers = ("--trainer.logger+=CSVLogger", "--trainer.logger.save_dir=lightning_logs")
    first = run(*LINE, *loggers, "--folder=lightning_logs/mine/a")
    folder = Path("lightning_logs/mine/a")
    assert Path(first["best_checkpoint"]).parent == folder / "checkpoints"
    assert (folder / "metrics.csv").is_file()
    assert list(folder.glob("events.out.*"))
    again = run("fit", "--config", folder / "config.yaml")
    assert Path(again["best_checkpoint"]).parents[1] == Path("lightning_logs/line/version_0")
    assert again["metrics"] == first["metrics"]
    with pytest.raises(SystemExit) as stop:
        run(*LINE, "--folder=lightning_logs/mine/a")
    assert stop.value.code == 1
    assert f"The run folder {folder} exists already" in capsys.readouterr().err
