"""Trains the runs of a group in processes of their own, and says how each ends."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from scripts.many.groups import Group
from scripts.many.numbers import shown
from scripts.many.progress import bar, epochs_of
from scripts.many.warm import STARTED, Task, run_all
from src.errors import UserError
from src.runs.results import read_results


def left_of(group: Group, runs: Sequence[str]) -> list[str]:
    """Return the runs that are not finished."""
    return [run for run in runs if read_results(group.run_folder(run)) is None]


def train(
    group: Group, tasks: Sequence[tuple[Sequence[str], Task]], jobs: int,
    words: Sequence[str], threads: int,
) -> None:  # fmt: skip
    """Train runs, some at once, and print how each ends.

    Args:
        group: Their group.
        tasks: For each process, the names of its runs, and its task.
        jobs: The number of processes at once.
        words: The words of a `fit` command, whose data is read once for all.
        threads: Threads of each process.
    """
    if not tasks:
        return
    runs = {task.log: names for names, task in tasks}
    folders = [group.run_folder(name) for names, _ in tasks for name in names]
    total = len(folders) * max(1, group.settings["trainer"]["max_epochs"] or 1)
    ended = run_all([task for _, task in tasks], jobs, words, threads)
    with bar(f"Training {len(folders)} runs", total, partial(epochs_of, folders)), closing(ended):
        for task, _ in ended:
            for name in runs[task.log]:
                print(f"{name}: {ending(group, name)}", flush=True)


def ending(group: Group, run: str) -> str:
    """Return how a run has ended, in a line."""
    results = read_results(group.run_folder(run))
    if not results:
        return f"failed, {reason(group.log(run))[0]}"
    metrics = results["metrics"]
    stage = "test/" if any(name.startswith("test/") for name in metrics) else "val/"
    values = [f"{k} {shown(k, v)}" for k, v in sorted(metrics.items()) if k.startswith(stage)]
    return ", ".join([*values, f"{results['seconds']['fit']:.1f} s"])


def check(group: Group, runs: Sequence[str]) -> None:
    """Refuse to go on without some runs.

    Raises:
        UserError: With the reason that the first of them has printed, if one has failed.
    """
    failed = left_of(group, runs)
    if failed:
        log = group.log(failed[0])
        why = "\n".join(reason(log)[:2])
        raise UserError(f"{len(failed)} of {len(runs)} runs failed. {failed[0]}: {why}\nSee {log}.")


def reason(log: Path) -> list[str]:
    """Return the lines of the error that the last process of a run printed, or its last line."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    last = text.rpartition(STARTED)[2]
    _, found, error = last.rpartition("error: ")
    lines = (error if found else last).strip().splitlines()
    return (lines if found else lines[-1:]) or ["its process was killed"]
