"""Runs commands in processes that are forked from a warm one, which has imported and read all.

Starting such a process takes a few hundredths of a second instead of three seconds. Each run still
has a process of its own, so that no run changes another one, and any can be killed.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from src.errors import UserError

Work = Callable[..., Any]
FORKS = sys.platform == "linux"  # macOS may not fork once torch is imported, Windows cannot
SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)
]
LOOK = 0.2  # seconds between two looks at whether a signal has come
STARTED = "--- started\n"  # a line in a log, which also holds what earlier processes printed
WORDS = "LINENET_PRELOAD"  # environment variable: the words of `fit` whose data is read once


@dataclass
class Task:
    """A run to make in a process of its own.

    Attributes:
        work: A function that can be imported; it may raise SystemExit, as the command line does.
        arguments: Its arguments, which can be pickled.
        log: The file that gets what the process prints.
    """

    work: Work
    arguments: tuple[Any, ...]
    log: Path


def run_all(
    tasks: Sequence[Task], jobs: int, words: Sequence[str], threads: int | None = None
) -> Iterator[tuple[Task, int]]:
    """Run tasks, some at once, and yield each with its exit code when it has ended.

    When Ctrl-C or SIGTERM stops the caller, the processes save a checkpoint and stop first.

    Args:
        tasks: The tasks, in the order of their start.
        jobs: The number of processes at once.
        words: The words of a `fit` command, whose data is read once for all.
        threads: Threads of each process; by default the cores are divided.
    """
    start = starter(words, threads or share(jobs))
    waiting, running = list(tasks), dict[Any, tuple[Task, BaseProcess]]()
    with Stopping() as stopping:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    process = start(task := waiting.pop(0))
                    running[process.sentinel] = task, process
                for sentinel in wait([*running], LOOK):
                    task, process = running.pop(sentinel)
                    process.join()
                    yield task, process.exitcode or 0
                stopping.leave_if_asked()
        finally:
            for _, process in running.values():
                process.terminate()
            for _, process in running.values():
                process.join()


class Stopping:
    """Context manager in which a signal is noted, and the caller leaves at a moment that suits it.

    An exception in the midst of a start would leave a process behind that nobody stops.
    """

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> "Stopping":
        self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def leave_if_asked(self) -> None:
        """Raise SystemExit if a signal has come."""
        if self.number:
            raise SystemExit(128 + self.number)

    def _note(self, number: int, _: Any) -> None:
        self.number = number
        print("\nStopping. The same command goes on from here.", file=sys.stderr)


def starter(words: Sequence[str], threads: int) -> Callable[[Task], BaseProcess]:
    """Return a function that starts a task in a process forked from a warm one.

    Elsewhere than on Linux, each process starts anew.

    Args:
        words: The words of a `fit` command, whose data is read once; empty reads none.
        threads: Threads of each process.
    """
    warm_up(words)
    context: Any = multiprocessing.get_context("forkserver" if FORKS else "spawn")

    def start(task: Task) -> BaseProcess:
        task.log.parent.mkdir(parents=True, exist_ok=True)
        process = context.Process(target=run, args=(task, threads))
        try:
            process.start()
        except (EOFError, ConnectionError) as error:
            raise UserError(
                "The process that starts the runs has been killed, perhaps for lack of memory.\n"
                "The same command goes on; --jobs 1 needs less memory."
            ) from error
        return process

    return start


def warm_up(words: Sequence[str]) -> None:
    """Start the warm process, which imports and reads while the caller does the same.

    Args:
        words: The words of a `fit` command, whose data is read once; empty reads none.
    """
    if FORKS:
        from multiprocessing.forkserver import ensure_running, set_forkserver_preload

        os.environ[WORDS] = json.dumps([*words])
        set_forkserver_preload(["scripts.many.preload"])
        ensure_running()


def run(task: Task, threads: int) -> None:
    """Do the work of a task in this process, and exit with its exit code."""
    import torch

    from src.command.threads import SHARE

    # A terminal sends Ctrl-C to all; after the caller's own signal it would be a second one, which
    # does not wait for the next checkpoint.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    with task.log.open("a", encoding="utf-8") as log:
        log.write(STARTED)
        log.flush()
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    os.environ[SHARE] = str(threads)
    torch.set_num_threads(threads)
    task.work(*task.arguments)


def is_ready() -> None:
    """Do nothing: a process that has done so shows that the warm one has imported and read."""


def end_with_parent() -> None:
    """End this process when its parent has been killed: the next command resumes its run."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def share(jobs: int, threads: int | None = None) -> int:
    """Return the threads of each of some processes.

    Args:
        jobs: The number of processes.
        threads: The threads of all together; by default one for each core, where OMP_NUM_THREADS
            limits those of a process.
    """
    most = os.environ.get("OMP_NUM_THREADS", "")
    limit = int(most) if most.isdigit() and not threads else cores()
    return max(1, min((threads or cores()) // jobs, threads or limit))


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
