"""What Ctrl-C, SIGTERM and SIGHUP do: stop at the next safe point, or at once if asked twice."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Remembers that the run is to stop; a context in which the signals are listened to.

    While `training`, a first signal only leaves its number in `received`, for the callback that
    knows when a checkpoint can be made. At other times nothing would be lost: the program ends.
    Either way the exit code is 128 + n, as a shell has it.
    """

    def __init__(self) -> None:
        self.received = 0
        self.training = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():  # others may not
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.received and kind is None:  # what a handler raises in a destructor gets lost
            raise SystemExit(128 + self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
        if not self.training:
            raise SystemExit(128 + number)
        print("\nStopping at the next batch. Once more, and it stops at once.", file=sys.stderr)
