"""Trains the seeds of a group: processes of their own, or several together in each."""

from collections.abc import Sequence
from functools import partial

from scripts.many.groups import Group
from scripts.many.progress import bar, epochs_of
from scripts.many.warm import Task, run_all, share
from scripts.seeds.together import train_together
from src.cli import main as linenet
from src.errors import UserError
from src.runs.results import read_results


def train(group: Group, seeds: Sequence[int], jobs: int, together: bool = False) -> None:
    """Train the seeds that have not been trained yet.

    Args:
        group: The group of their runs.
        seeds: The seeds.
        jobs: The number of processes at once.
        together: Whether each process makes the steps of its share of the seeds together;
            otherwise each seed has a process of its own.
    """
    left = [seed for seed in seeds if not is_done(group, seed)]
    # The same after a kill, when fewer seeds are left: the number of threads changes rounding.
    threads = share(min(jobs, len(seeds)), group.settings["threads"])
    jobs = max(1, min(jobs, len(left)))
    parts = [left[i::jobs] for i in range(jobs)] if together else [[seed] for seed in left]
    done = len(seeds) - len(left)
    print(f"{group.folder}: {done} of {len(seeds)} seeds are trained.", flush=True)
    if not left:
        return
    folders = [group.run_folder(name_of(seed)) for seed in left]
    total = len(left) * max(1, group.settings["trainer"]["max_epochs"] or 1)
    with bar(f"Training {len(left)} seeds", total, partial(epochs_of, folders)):
        tasks = [task_of(group, part) for part in parts]
        for _ in run_all(tasks, jobs, group.words, threads):
            pass


def task_of(group: Group, seeds: Sequence[int]) -> Task:
    """Return the task that trains one seed, or several together."""
    commands = [group.run_words(name_of(seed), f"--seed_everything={seed}") for seed in seeds]
    logs = [group.folder / "logs" / f"{name_of(seed)}.txt" for seed in seeds]
    if len(seeds) == 1:
        return Task(linenet, (["fit", *commands[0]],), logs[0])
    return Task(train_together, (commands, logs), logs[0])


def is_done(group: Group, seed: int) -> bool:
    """Return whether a seed has been trained and tested."""
    return read_results(group.run_folder(name_of(seed))) is not None


def name_of(seed: int) -> str:
    return f"seed_{seed}"


def check(group: Group, seeds: Sequence[int]) -> None:
    """Raise UserError, with the last line that it has printed, if a seed has failed."""
    failed = [seed for seed in seeds if not is_done(group, seed)]
    if not failed:
        return
    log = group.folder / "logs" / f"{name_of(failed[0])}.txt"
    lines = (
        (log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")
        .strip()
        .splitlines()
    )
    others = f", and {len(failed) - 1} more" if failed[1:] else ""
    reason = lines[-1] if lines else "its process was killed"
    raise UserError(f"Seed {failed[0]} failed{others}: {reason}\nSee {log}.")
