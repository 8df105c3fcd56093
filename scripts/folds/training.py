"""Trains a run for each fold in processes of their own."""

from scripts.many.groups import Group
from scripts.many.training import check, left_of
from scripts.many.training import train as train_runs
from scripts.many.warm import Task, share
from src.cli import main as linenet


def name(fold: int) -> str:
    """Return the name of the run folder of a fold."""
    return f"fold_{fold}"


def train(group: Group, folds: int, jobs: int) -> None:
    """Train the folds that are not finished.

    Args:
        group: The group, whose words have no fold.
        folds: The number of folds.
        jobs: The number of runs at once.

    Raises:
        UserError: If a run fails, after the others have ended.
    """
    runs = {name(fold): fold for fold in range(folds)}
    left = left_of(group, [*runs])
    print(f"{group.folder}: {folds - len(left)} of {folds} folds are trained.", flush=True)
    tasks = [([run], task(group, run, runs[run])) for run in left]
    threads = share(jobs, group.settings["threads"])
    train_runs(group, tasks, jobs, [*group.words, "--data.fold=0"], threads)
    check(group, [*runs])


def task(group: Group, run: str, fold: int) -> Task:
    words = group.run_words(run, f"--data.fold={fold}")
    return Task(linenet, (["fit", *words],), group.log(run))
