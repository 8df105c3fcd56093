"""Trains the seeds of a group: processes of their own, or several together in each."""

from collections.abc import Sequence

from scripts.many.groups import Group
from scripts.many.training import left_of
from scripts.many.training import train as train_runs
from scripts.many.warm import Task, share
from scripts.seeds.together import train_together
from src.cli import main as linenet

PREFIX = "seed_"


def train(group: Group, seeds: Sequence[int], jobs: int, together: bool = False) -> None:
    """Train the seeds that have not been trained yet.

    Args:
        group: The group of their runs.
        seeds: The seeds.
        jobs: The number of processes at once.
        together: Whether each process makes the steps of its share of the seeds together;
            otherwise each seed has a process of its own.
    """
    left = left_of(group, [name_of(seed) for seed in seeds])
    # The same after a kill, when fewer seeds are left: the number of threads changes rounding.
    threads = share(min(jobs, len(seeds)), group.settings["threads"])
    jobs = max(1, min(jobs, len(left)))
    parts = [left[i::jobs] for i in range(jobs)] if together else [[run] for run in left]
    done = len(seeds) - len(left)
    print(f"{group.folder}: {done} of {len(seeds)} seeds are trained.", flush=True)
    tasks = [(part, task_of(group, part)) for part in parts if part]
    train_runs(group, tasks, jobs, group.words, threads)


def task_of(group: Group, runs: Sequence[str]) -> Task:
    """Return the task that trains one seed, or several together."""
    seeds = [run.removeprefix(PREFIX) for run in runs]
    commands = [
        group.run_words(run, f"--seed_everything={seed}")
        for run, seed in zip(runs, seeds, strict=True)
    ]
    logs = [group.log(run) for run in runs]
    if len(runs) == 1:
        return Task(linenet, (["fit", *commands[0]],), logs[0])
    return Task(train_together, (commands, logs), logs[0])


def name_of(seed: int) -> str:
    return f"{PREFIX}{seed}"
