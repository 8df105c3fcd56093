"""Which workers of a sweep are alive, so that the trials of dead ones are tried again."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import Timeout
from optuna.trial import FrozenTrial, TrialState

from src.files import lock

WORKER = "worker"  # attribute of a trial: who runs it
ALIVE = "alive"  # attribute that the worker of a running trial keeps changing
BEAT = 5.0  # seconds between two changes
SILENCE = 30.0  # seconds without a change, after which the worker is taken for dead

Trials = Sequence[FrozenTrial]


class Presence:
    """Shows to others on this machine that a worker is alive, by a lock that ends with its process.

    Args:
        folder: The folder of the locks, `workers/` in that of the sweep.
        stack: Keeps the lock.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.host = folder, socket.gethostname()
        self.name = f"{self.host}-{uuid4().hex[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(lock(self._file(self.name)))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

    def dead(self) -> Iterator[str]:
        """Yield the name of each worker that died on this machine, while no other one does so."""
        for path in self.folder.glob(f"{self.host}-*.lock"):
            with suppress(Timeout, OSError):
                if path.stem != self.name:
                    with lock(path, timeout=0):
                        yield path.stem


class Watch:
    """Notices running trials whose worker has died, since nothing about them changes any more.

    Optuna's heartbeat needs the clock of a database, is missing for a journal file, and overlooks
    a worker that dies before its first beat. This one compares no clocks.
    """

    def __init__(self) -> None:
        self.seen: dict[int, tuple[Any, float]] = {}  # last state of a trial, and since when

    def dead(self, trials: Trials, own: Sequence[int]) -> list[int]:
        """Return the numbers of trials that nobody works on.

        Args:
            trials: All attempts.
            own: The numbers of those that this worker works on.
        """
        now, found = time.monotonic(), []
        running = [one for one in trials if one.state == TrialState.RUNNING]
        for trial in [one for one in running if one.number not in own]:
            state = trial.user_attrs.get(ALIVE), len(trial.intermediate_values), len(trial.params)
            before, since = self.seen.get(trial.number, (None, now))
            if state != before:
                self.seen[trial.number] = state, now
            elif now - since > SILENCE:
                found.append(trial.number)
        return found


def running_of(trials: Trials, worker: str) -> list[int]:
    """Return the numbers of the running trials of a worker."""
    running = [one for one in trials if one.state == TrialState.RUNNING]
    return [one.number for one in running if one.user_attrs.get(WORKER) == worker]
