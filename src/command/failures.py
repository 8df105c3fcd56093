"""What a failed run prints: the message of an error that the user can fix, without a traceback."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import distributed

from src.command.messages import essence
from src.errors import UserError
from src.places import to_install

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)

TRACKERS = ("wandb", "mlflow", "trackio")  # each an extra


def user_error(error: BaseException | None) -> str | None:
    """Return the message for an error that the user can fix, else None."""
    if os.environ.get("JSONARGPARSE_DEBUG"):
        return None
    report = str(error)
    while error:  # jsonargparse wraps what a constructor raises
        if isinstance(error, UserError | MisconfigurationException):
            return str(error)
        text = str(error)
        if isinstance(error, ModuleNotFoundError) and error.name is None:  # raised by a library
            return _missing(text.splitlines()[0])
        if "loading state_dict" in text:
            reason = text.splitlines()[:2][-1].strip().replace(": copying", ":\ncopying")
            return f"The checkpoint does not fit the model: {reason}"
        if "`val_check_interval`" in text:
            return f"--trainer.val_check_interval: {text.strip().splitlines()[0]}"
        if isinstance(error, BrokenPipeError):
            return "The program that read the output has ended, and so this command."
        if match := re.search(r"allocate (?:memory: you tried to allocate )?(\d+) bytes", text):
            return f"Not enough memory: {int(match[1]) / 1e9:.1f} GB were requested; give less."
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return f"Not enough memory: {text.splitlines()[0] if text else 'give less'}"
        if isinstance(error, distributed.DistError) or "gloo/transport" in text:
            return (
                f"Another process of the run does not answer: {_cause(text)}.\n"
                "See what it has printed on its host; then continue all with fit --resume FOLDER."
            )
        if isinstance(error, OSError) and error.errno in DISK:
            return (
                f"{error.filename or 'A file of the run'} cannot be used: {error.strerror}.\n"
                "Checkpoints are intact: fix it, then continue with fit --resume FOLDER."
            )
        error = error.__cause__
    if report.startswith(("Does not validate", "Problem with given")):  # a constructor refuses
        if "HINT: Try running `pip install" in (reason := essence(report)):
            return _missing(reason)
        return f"{reason}\nTo see where: JSONARGPARSE_DEBUG=true python -m src.cli ..."
    return None


def _cause(text: str) -> str:
    """Return why a connection failed, out of a message of torch.distributed."""
    first = text.strip().partition("\n")[0].partition(". ")[0].rstrip(".")
    return re.sub(r"^\[\S+\] ", "", first)  # the line of the source file


def _missing(text: str) -> str:
    """Return the message for a package that is not installed, with the line that installs it."""
    line = re.search(r"`(pip install (?:-U )?'?(\w+)[^`]*)`", text)
    install = line[1] if line else "pip install NAME"
    install = to_install(line[2]) if line and line[2] in TRACKERS else install
    return f"{text.partition(' HINT: ')[0]}\nTo install it: {install}; or leave it out."


@contextmanager
def short_errors() -> Iterator[None]:
    """End the program with exit code 1 and a message for errors that the user can fix.

    Raises:
        SystemExit: Instead of such an error.
    """
    try:
        yield
    except Exception as error:
        known = user_error(error)
        if known is None:
            raise  # a bug, here or in a class of the user: keep the traceback
        if isinstance(error, BrokenPipeError):  # or Python would fail to write at its exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"error: {known}", file=sys.stderr)
        raise SystemExit(1) from None
