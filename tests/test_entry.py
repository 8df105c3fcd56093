"""What the command line answers without importing torch, and what a run prints."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import TQDMProgressBar

from src import cli
from src.callbacks.progress import EpochBar, EpochLines, LayerTable, screen_callbacks
from src.runs.summary import wrapped
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]


def entry(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process where importing torch or Lightning fails."""
    code = "import sys; sys.modules.update(torch=None, lightning=None); import src.cli as c; "
    command = [sys.executable, "-c", code + f"c.main({list(words)})"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_no_arguments_print_the_help_and_exit_with_2_without_torch() -> None:
    done, with_flag = entry(), entry("--help")
    assert (done.returncode, with_flag.returncode) == (2, 0)
    assert done.stdout == with_flag.stdout
    for name in ("fit", "validate", "test", "predict", "compare", "lesson", "faults", "bench"):
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f"  {name} ")]
        assert len(line.split()) > 3
    assert len(done.stdout.splitlines()) < 30


def test_each_tool_is_listed_with_one_line_of_its_docstring() -> None:
    for name, text in cli.tools().items():
        assert 10 < len(text) < 86, name
        assert text.endswith((".", ":"))


def test_the_version_names_commit_torch_and_lightning() -> None:
    first, *others = entry("--version").stdout.splitlines()
    assert first.startswith(f"linenet {version('linenet')} (")
    assert others == [f"{name} {version(name)}" for name in ("torch", "lightning")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "Did you mean fit?"),
        (["tset"], "Did you mean test?"),
        (["compare", "x"], "compare is a tool.\nStart it with ./scripts/run compare"),
        (["--config", "x.yaml"], "Did you mean python -m src.cli fit --config x.yaml?"),
    ],
)
def test_a_wrong_command_gets_a_suggestion_without_importing_torch(
    words: list[str], message: str
) -> None:
    done = entry(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_arguments_before_and_after_the_command_are_kept() -> None:
    assert cli.parse(["-c", "x", "fit", "--help", "--version", "fit"]) == (
        ["-c", "x"], "fit", ["--help", "--version", "fit"]
    )  # fmt: skip


def test_redirected_output_has_one_line_per_epoch(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=20")
    printed = capsys.readouterr().out
    assert "\r" not in printed
    lines = [line for line in printed.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 20
    assert lines[0].startswith("epoch 1/20, train/loss ")
    assert "FLOPs" not in printed
    assert len(printed) < 5000


@pytest.mark.parametrize(("columns", "shown"), [(60, {"val/acc"}), (80, {"val/acc"}), (120, 3)])
def test_a_narrow_bar_shows_one_metric(
    columns: int, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = {"v_num": "n_0", "train/loss": 0.1, "val/acc": 0.9, "val/loss": 0.2}
    monkeypatch.setattr(TQDMProgressBar, "get_metrics", lambda *_: dict(logged))
    monkeypatch.setenv("COLUMNS", str(columns))
    metrics = EpochBar("val/acc").get_metrics(SimpleNamespace(), SimpleNamespace())
    assert "v_num" not in metrics
    assert (len(metrics) if shown == 3 else set(metrics)) == shown


def test_a_terminal_gets_a_progress_bar_and_a_file_gets_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = SimpleNamespace(callbacks=[], enable_progress_bar=None, enable_model_summary=None)
    assert [type(one) for one in screen_callbacks(settings, None)] == [EpochLines, LayerTable]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert [type(one) for one in screen_callbacks(settings, None)] == [EpochBar, LayerTable]


def test_a_path_is_broken_after_slashes_only() -> None:
    path = "lightning_logs/mnist_lenet/version_0/checkpoints/best-epoch03.ckpt"
    lines = wrapped(path, 30).split("\n")
    assert "".join(lines) == path
    assert len(lines) > 2
    assert all(line.endswith("/") and len(line) <= 30 for line in lines[:-1])
    assert wrapped("5,000 val, 10 test\nx", 100) == "5,000 val, 10 test\nx"


def test_the_summary_shows_how_many_images_were_tested(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(PROJECT / "configs/mnist_logistic.yaml"), "--data.val_size=50"]
    run("fit", *words, "--trainer.max_epochs=1", "--trainer.limit_test_batches=1",
        "--data.batch_size=50")  # fmt: skip
    out = capsys.readouterr().out
    assert "250 train, 50 val, 130 test" in out
    folder = Path("lightning_logs/mnist_logistic/version_0")
    run("validate", "--run", str(folder), "--trainer.limit_val_batches=1")
    assert "50 val, 130 test" in capsys.readouterr().out
    assert (folder / "validate/results.json").is_file()
