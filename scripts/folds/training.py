"""Trains a run for each fold in processes of their own."""

from contextlib import closing

from scripts.many.groups import Group
from scripts.many.warm import Task, run_all, share
from src.cli import main as linenet
from src.errors import UserError
from src.progress_bar import with_bar
from src.runs.results import read_results


def name(fold: int) -> str:
    """Return the name of the run folder of a fold."""
    return f"fold_{fold}"


def train(group: Group, folds: int, jobs: int) -> None:
    """Train the folds that are not finished, and print each as it ends.

    Args:
        group: The group, whose words have no fold.
        folds: The number of folds.
        jobs: The number of runs at once.

    Raises:
        UserError: If a run fails, after the others have ended.
    """
    tasks = [task(group, fold) for fold in range(folds)]
    left = [one for one in tasks if read_results(group.run_folder(one.log.stem)) is None]
    if done := folds - len(left):
        print(f"{group.folder}: {done} of {folds} folds are trained.")
    failed = []
    threads = share(jobs, group.settings["threads"])
    with closing(run_all(left, jobs, [*group.words, "--data.fold=0"], threads)) as ended:
        for one, code in with_bar(ended, "Training folds", total=len(left)):
            if results := read_results(group.run_folder(one.log.stem)):
                print(f"{one.log.stem}: {told(results['metrics'])}", flush=True)
            else:
                failed.append(f"{one.log} (exit code {code})")
    if failed:
        raise UserError(
            f"{len(failed)} of {folds} folds failed: see the end of {', '.join(failed[:3])}.\n"
            "The others are kept: the same command goes on."
        )


def task(group: Group, fold: int) -> Task:
    words = group.run_words(name(fold), f"--data.fold={fold}")
    return Task(linenet, (["fit", *words],), group.folder / f"{name(fold)}.log")


def told(metrics: dict[str, float]) -> str:
    return ", ".join(f"{k} {v:.4g}" for k, v in sorted(metrics.items()) if k.startswith("val/"))
