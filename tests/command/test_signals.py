"""Signals: which end a run at once, which at the next checkpoint, and which are ignored."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

from scripts.faults.runs import kill, start, wait
from src.callbacks import ResumePoints
from src.command.signals import SIGNALS, SignalHandlers
from src.training.stop_request import StopRequest
from tests.conftest import PROJECT

LINE = ["fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=100000",
        "--trainer.enable_progress_bar=false"]  # fmt: skip


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_outside_of_training_ends_the_program(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as stop, SignalHandlers(StopRequest()):
        os.kill(os.getpid(), number)  # python runs the handler as it returns
    assert stop.value.code == 128 + number


def finish_after(*numbers: signal.Signals) -> None:
    """Get signals during training, and reach the end of the `with` block."""
    request = StopRequest(training=True)
    with SignalHandlers(request):
        for number in numbers:
            os.kill(os.getpid(), number)
        assert request.signal == numbers[0]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_training_is_stored(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        finish_after(number)
    assert stop.value.code == 128 + number  # raised at the end of the block
    assert "Stopping at the next checkpoint" in capsys.readouterr().err


def test_a_scheduler_may_send_a_signal_twice() -> None:
    """SLURM does when it preempts a job; the checkpoint of the first one must be kept."""
    with pytest.raises(SystemExit) as stop:
        finish_after(signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM)
    assert stop.value.code == 128 + signal.SIGUSR1


def test_a_signal_during_a_destructor_is_not_lost() -> None:
    """Python only prints exceptions in destructors, so SystemExit is raised again at the end."""
    with pytest.raises(SystemExit) as stop, SignalHandlers(StopRequest()), suppress(SystemExit):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.value.code == 128 + signal.SIGTERM


def test_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with SignalHandlers(StopRequest()) as signals:
        assert [signal.getsignal(number) for number in SIGNALS] == [signals._handle] * len(SIGNALS)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_ignored_by_nohup_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SignalHandlers(StopRequest()):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def start_training() -> int:
    """Start a long run, and return its process id after its first checkpoint."""
    process = start(Path.cwd(), LINE, 0.05)
    while not list(Path().rglob("resume-*.ckpt")):
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_a_run_after_a_batch_with_a_checkpoint(number: signal.Signals) -> None:
    process = start_training()
    kill(process, number)
    assert wait(process) == 128 + number
    log = Path("log.txt").read_text()
    step = int(log.split(f"Stopped by {number.name} after step ")[1].split(".")[0])
    newest = max(Path().rglob("resume-*.ckpt"))
    assert newest.name == f"resume-step{step:08d}.ckpt"
    assert "fit --resume lightning_logs/line/version_0" in log
    assert not [path for path in Path().rglob("*") if path.suffix in (".part", ".lock")]


def test_a_second_signal_ends_a_run_that_hangs() -> None:
    def hang(self: ResumePoints, trainer: Trainer, folder: Path) -> None:
        if list(folder.glob("resume-*.ckpt")):
            time.sleep(30)
        save(self, trainer, folder)

    def replace_save() -> None:
        ResumePoints._save = hang  # type: ignore[method-assign]

    save = ResumePoints._save
    process = start(Path.cwd(), LINE, 0.05, replace_save)
    while not list(Path().rglob("resume-*.ckpt")):
        time.sleep(0.01)
    time.sleep(0.3)
    began = time.monotonic()
    kill(process, signal.SIGINT)
    time.sleep(0.2)
    kill(process, signal.SIGINT)
    assert wait(process) == 130
    assert time.monotonic() - began < 10


def test_ctrl_c_during_the_imports_prints_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "src.cli", "fit", "--help"], cwd=PROJECT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in error
