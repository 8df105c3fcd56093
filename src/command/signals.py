"""Handles the signals that end a run: stop at the next checkpoint, or at once by Ctrl-C twice."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from src.training.stop_request import StopRequest

# Ctrl-C, and what a terminal, an operating system or a scheduler sends; Windows has two of them.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


class SignalHandlers:
    """Context manager that turns the first signal into a stop request.

    During training, the first signal is left in `request` for the callback that saves a checkpoint
    and stops. At other times nothing would be lost, and the program ends. The exit code is 128 plus
    the number of the signal, as in a shell. Only Ctrl-C asks twice in order to stop at once: SLURM
    sends SIGTERM twice within a second, and SIGKILL when it waits no longer.

    Args:
        request: Shared with the training loop.
    """

    def __init__(self, request: StopRequest) -> None:
        self.request = request
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "SignalHandlers":
        if threading.current_thread() is threading.main_thread():  # Python allows no other
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.request.signal and kind is None:  # SystemExit is lost when raised in a destructor
            raise SystemExit(128 + self.request.signal)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.request.signal:
            if number == signal.SIGINT:
                os._exit(128 + number)
            return
        self.request.signal = number
        if not self.request.training:
            raise SystemExit(128 + number)
        print("\nStopping at the next checkpoint. Press Ctrl-C to stop at once.", file=sys.stderr)
