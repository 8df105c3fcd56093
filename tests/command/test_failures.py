"""Errors that the user can fix end without a traceback."""

import subprocess
import sys

import pytest
from torch.distributed import DistNetworkError

from src.command.failures import short_errors, user_error
from src.errors import UserError
from tests.conftest import PROJECT


def cause(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("plain"), "plain"),
        (cause(ValueError("outer"), UserError("inner")), "inner"),
        (RuntimeError("Error(s) in loading state_dict for Net:\n\tsize mismatch"), "size mismatch"),
        (RuntimeError("while loading state_dict"), "while loading state_dict"),
        (MemoryError(), "Not enough memory: give less"),
        (
            RuntimeError(
                "CPUAllocator: can't allocate memory: you tried to allocate 40000000000 bytes."
            ),
            "Not enough memory: 40.0 GB were requested",
        ),
        (OSError(28, "No space left on device", "x.ckpt"), "x.ckpt cannot be used: No space"),
        (
            RuntimeError("[/x/gloo/transport/tcp/pair.cc:5] Read error [10.0.0.2]:9: Reset. This"),
            "does not answer: Read error [10.0.0.2]:9: Reset.\n",
        ),
        (DistNetworkError("Failed to recv, got 0 bytes. Connection was"), "answer: Failed to recv"),
        (ValueError("a bug"), None),
    ],
)
def test_the_message_names_the_cause(error: Exception, message: str | None) -> None:
    shown = user_error(error)
    assert (shown is None) if message is None else (message in str(shown))


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), short_errors():
        print(1 // 0)


def test_a_closed_pipe_ends_a_command_without_a_traceback() -> None:
    config = str(PROJECT / "configs/line.yaml")
    command = [sys.executable, "-u", "-m", "src.cli", "fit", "--config", config]
    with subprocess.Popen(
        [*command, "--trainer.max_epochs=2000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()  # as `head -n 1` does
        errors = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "error: The program that read the output has ended" in errors
