"""A run interrupted at any step and resumed equals, bit for bit, the uninterrupted run."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback, Trainer
from tensorboard.summary.writer import event_file_writer

from scripts.faults.runs import differences, left
from src.cli import main
from tests.conftest import PROJECT

CONFIGS = PROJECT / "configs"
Run = Callable[..., dict[str, Any]]
SMALL = ["--data.val_size=50", "--data.verify=false", "--data.batch_size=50",
         "--trainer.max_epochs=3", "--trainer.log_every_n_steps=2",
         "--trainer.enable_progress_bar=false"]  # fmt: skip
AUGMENTED = ["--config", str(CONFIGS / "with/augment.yaml")]
COSINE = ["--model.scheduler=CosineAnnealingLR", "--model.scheduler.T_max=15",
          "--model.scheduler_interval=step"]  # fmt: skip
PLATEAU = ["--model.scheduler=lightning.pytorch.cli.ReduceLROnPlateau",
           "--model.scheduler.monitor=val/loss", "--model.scheduler.patience=0",
           "--model.scheduler.threshold=1e9"]  # fmt: skip
CALLBACK = "--trainer.callbacks+=lightning.pytorch.callbacks"
EARLY = [f"{CALLBACK}.EarlyStopping",
         "--trainer.callbacks.monitor=val/loss", "--trainer.callbacks.min_delta=1e9",
         "--trainer.callbacks.patience=2", "--trainer.max_epochs=6"]  # fmt: skip
SETTINGS = {
    "one cycle": ("mnist_logistic", []),
    "momentum": ("mnist_sigmoid_mlp", []),
    "cosine": ("mnist_relu_mlp", COSINE),
    "plateau": ("mnist_relu_mlp", PLATEAU),
    "dropout": ("mnist_mlp", []),
    "augmented": ("mnist_lenet", AUGMENTED),
    "accumulated": ("mnist_relu_mlp", ["--trainer.accumulate_grad_batches=2"]),
    "often validated": ("mnist_relu_mlp", ["--trainer.val_check_interval=2"]),
    "rarely validated": ("mnist_relu_mlp", ["--trainer.check_val_every_n_epoch=2"]),
    "steps": ("mnist_relu_mlp", ["--trainer.max_epochs=-1", "--trainer.max_steps=12"]),
    "stopped early": ("mnist_relu_mlp", EARLY),
    "moving average": ("mnist_relu_mlp", [f"{CALLBACK}.EMAWeightAveraging"]),
    "average": ("mnist_relu_mlp", [f"{CALLBACK}.StochasticWeightAveraging",
                "--trainer.callbacks.swa_lrs=0.01", "--trainer.callbacks.swa_epoch_start=1"]),
    "accumulated later": ("mnist_relu_mlp", [f"{CALLBACK}.GradientAccumulationScheduler",
                          "--trainer.callbacks.scheduling={1: 2}"]),
    "one batch": ("mnist_relu_mlp", ["--data.batch_size=250"]),
    "one batch of all": ("line", ["--trainer.max_epochs=4", "--trainer.check_val_every_n_epoch=2"]),
}  # fmt: skip


SLOW = ("one cycle", "momentum", "cosine", "accumulated", "rarely validated", "stopped early",
        "plateau", "one batch", "average")  # fmt: skip


def words(name: str) -> list[str]:
    config, more = SETTINGS[name]
    small = SMALL if config.startswith("mnist") else SMALL[-1:]
    return ["fit", "--config", str(CONFIGS / f"{config}.yaml"), *small, *more]


def assert_same(folder: Path, expected: dict[str, Any]) -> None:
    assert list(differences(left(folder), expected)) == []


@pytest.fixture(autouse=True)
def _files_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number event files so that more than ten of the same second sort by creation."""
    counter = event_file_writer.AtomicCounter(10**6)
    monkeypatch.setattr(event_file_writer, "_global_uid", counter)


def assert_resumes(name: str, run: Run, copies: list[Path], every: bool) -> None:
    """Assert that a run resumed from its checkpoints equals the uninterrupted one.

    Args:
        name: The settings.
        copies: Fills with a copy of the run folder at each checkpoint.
        every: Resume from all checkpoints, not only from the first, middle and last one.
    """
    run(*words(name))
    folder = Path(f"lightning_logs/{SETTINGS[name][0]}/version_0")
    expected = left(folder)
    assert len(copies) >= 3
    for copy in copies[:] if every else [copies[0], copies[len(copies) // 2], copies[-1]]:
        shutil.rmtree(folder)
        copy.rename(folder)
        run("fit", "--resume", folder)
        assert_same(folder, expected)


@pytest.mark.filterwarnings("ignore:Resuming elsewhere")
@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in SLOW])
def test_a_resumed_run_equals_the_uninterrupted_one(
    name: str, run: Run, snapshots: list[Path]
) -> None:
    assert_resumes(name, run, snapshots, every=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Resuming elsewhere")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_can_be_resumed_from_each_of_its_checkpoints(
    name: str, run: Run, snapshots: list[Path]
) -> None:
    assert_resumes(name, run, snapshots, every=True)


def test_a_run_killed_before_its_first_checkpoint_starts_again(run: Run) -> None:
    run(*words("one cycle"))
    folder = Path("lightning_logs/mnist_logistic/version_0")
    expected = left(folder)
    for path in (*folder.glob("checkpoints/*"), folder / "results.json"):
        path.unlink()
    run("fit", "--resume", "latest")
    assert_same(folder, expected)


def test_a_run_that_was_moved_can_be_resumed(run: Run, snapshots: list[Path]) -> None:
    run(*words("dropout"))
    expected = left(Path("lightning_logs/mnist_mlp/version_0"))
    moved = Path("elsewhere/mine/kept")
    moved.parent.mkdir(parents=True)
    snapshots[2].rename(moved)
    main(["fit", "--resume", str(moved)])
    assert_same(moved, expected)
    best = json.loads((moved / "results.json").read_text())["best_checkpoint"]
    assert Path(best).parent == moved / "checkpoints"


def test_a_damaged_newest_checkpoint_is_reported_and_the_previous_one_used(
    run: Run, snapshots: list[Path]
) -> None:
    run(*words("dropout"))
    folder = Path("lightning_logs/mnist_mlp/version_0")
    expected = left(folder)
    shutil.rmtree(folder)
    snapshots[5].rename(folder)
    _, newest = sorted(folder.glob("checkpoints/resume-*"))
    newest.write_bytes(newest.read_bytes()[:-1000])
    with pytest.warns(UserWarning, match=rf"{newest.name} is damaged.*Trying the previous one"):
        run("fit", "--resume", folder)
    assert_same(folder, expected)
    assert newest.with_suffix(".damaged").exists()


def test_resuming_fails_if_all_checkpoints_are_damaged(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*words("one cycle"))
    folder = Path("lightning_logs/mnist_logistic/version_0")
    (folder / "results.json").unlink()
    for path in folder.glob("checkpoints/resume-*"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(SystemExit) as stop:
        main(["fit", "--resume", str(folder)])
    assert stop.value.code == 1
    assert "No checkpoint to resume from in" in capsys.readouterr().err


def test_resuming_a_finished_run_changes_nothing(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*words("one cycle"))
    folder = Path("lightning_logs/mnist_logistic/version_0")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--resume", "latest"])
    assert stop.value.code == 0
    assert "is finished" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_finished_run_trained_for_more_epochs_equals_a_longer_run(run: Run) -> None:
    run(*words("momentum"), "--trainer.max_epochs=5")
    run(*words("momentum"))
    folder = Path("lightning_logs/mnist_sigmoid_mlp")
    run("fit", "--resume", folder / "version_1", "--trainer.max_epochs=5")
    assert_same(folder / "version_1", left(folder / "version_0"))
    assert (folder / "version_1/results-epoch3.json").is_file()
    saved = yaml.safe_load((folder / "version_1/config.yaml").read_text())
    assert saved["trainer"]["max_epochs"] == 5
    results = json.loads((folder / "version_1/results.json").read_text())
    assert "--resume" not in results["command"]
    [resumed] = results["resumed_by"]
    assert resumed.endswith(f"--resume {folder}/version_1 --trainer.max_epochs=5")
    assert results["seconds"]["total"] > results["seconds"]["fit"]  # total of both commands


CHANGES = {
    "--data.batch_size=25": "data.batch_size was 50, is 25",
    "--data.val_size=40": "data.val_size was 50, is 40",
    "--data.split_seed=1": "data.split_seed was 0, is 1",
    "--data.name=KMNIST": "data.name was MNIST, is KMNIST",
    "--seed_everything=1": "data.seed was 0, is 1",
    "--model.dropout=0.3": "model.dropout was 0.2, is 0.3",
    "--model.hidden=[100]": "model.hidden was [512, 512], is [100]",
    "--model.optimizer.lr=0.1": "model.optimizer.lr was 0.001, is 0.1",
    "--model.optimizer=SGD": "model.optimizer was Adam, is SGD",
    "--model=LeNet": "holds a ReLUMLP, but the model is LeNet",
    "--trainer.max_epochs=9": "trainer.max_epochs was 3, is 9",  # OneCycleLR depends on it
    "--trainer.accumulate_grad_batches=2": "trainer.accumulate_grad_batches was 1, is 2",
    "--trainer.precision=bf16-mixed": "trainer.precision was 32-true, is bf16-mixed",
}


@pytest.fixture(scope="module")
def cut_off(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without results, like one killed before its test."""
    folder = tmp_path_factory.mktemp("cut")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DATA_DIR", str(data_root))
        main(words("dropout"))
    [results] = folder.glob("lightning_logs/*/*/results.json")
    results.unlink()
    return results.parent


@pytest.mark.parametrize("change", CHANGES)
def test_changed_settings_are_refused_with_both_values(
    change: str, cut_off: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("DATA_DIR", str(data_root))
    before = {path: path.read_bytes() for path in cut_off.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--resume", str(cut_off), change])
    errors = capsys.readouterr().err
    assert stop.value.code == 1
    assert CHANGES[change] in errors
    assert len(errors[errors.index("error:") :].strip().splitlines()) <= 3
    after = {path: path.read_bytes() for path in cut_off.rglob("*") if path.is_file()}
    assert after == before


def test_one_changed_pixel_is_refused(
    cut_off: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(data_root / "MNIST", tmp_path / "MNIST")
    images = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["fit", "--resume", str(cut_off)])
    assert "contents of the data was " in capsys.readouterr().err


def test_another_number_of_threads_gives_a_warning(
    cut_off: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(data_root))
    shutil.copytree(cut_off, tmp_path / "copy/of/run")
    torch.set_num_threads(2)
    with pytest.warns(UserWarning, match="Resuming elsewhere.* 1 thread -> .* 2 threads"):
        main(["fit", "--resume", str(tmp_path / "copy/of/run")])


class Signal(Callback):
    """Sends this process a signal at the end of a step."""

    def __init__(self, number: int, step: int) -> None:
        self.number, self.step = number, step

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_a_run_that_can_then_be_resumed(
    name: str, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*words("dropout"))
    expected = left(Path("lightning_logs/mnist_mlp/version_0"))
    number = signal.Signals[name].value
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    callbacks = ["--trainer.callbacks+=tests.training.test_resume.Signal",
                 f"--trainer.callbacks.number={number}", "--trainer.callbacks.step=7"]  # fmt: skip
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(SystemExit) as stop:
        main([*words("dropout"), *callbacks])
    assert stop.value.code == 128 + number
    assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    folder = Path("lightning_logs/mnist_mlp/version_1")
    assert sorted(path.name for path in folder.glob("checkpoints/resume-*")) == [
        "resume-step00000000.ckpt", "resume-step00000007.ckpt"
    ]  # fmt: skip
    printed = capsys.readouterr()
    assert f"Stopped by {name} after step 7" in printed.out
    assert f"fit --resume {folder}" in printed.err
    run("fit", "--resume", folder)
    assert_same(folder, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume", "nowhere"], "--resume nowhere is not a run folder"),
        (["--resume", "latest"], "there is no run in"),
        (["--resume", ".", "--ckpt_path=x"], "leave --ckpt_path out"),
    ],
)
def test_invalid_resume_options_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", *options])
    assert stop.value.code == 1
    assert message in capsys.readouterr().err


def test_the_same_command_starts_a_run_and_resumes_it(run: Run, snapshots: list[Path]) -> None:
    command = [*words("one cycle"), "--resume=latest"]
    run(*command)
    folder = Path("lightning_logs/mnist_logistic/version_0")
    expected = left(folder)
    shutil.rmtree(folder)
    snapshots[3].rename(folder)
    run(*command)
    assert_same(folder, expected)
    assert [path.name for path in folder.parent.iterdir()] == ["version_0"]
