"""The best settings of a sweep: written as a config, and trained again with other seeds."""

from pathlib import Path
from typing import Any

import yaml
from optuna.trial import FrozenTrial

from scripts.many.groups import Group
from scripts.many.numbers import shown
from scripts.many.warm import Task, run_all
from scripts.sweep.attempts import first_number
from scripts.sweep.settings import described
from scripts.sweep.space import words
from scripts.sweep.trial import train_and_test
from src.errors import UserError
from src.files import lock, write_whole
from src.progress_bar import with_bar
from src.runs.results import read_results

SECTIONS = ("model", "data", "trainer")  # the first of a config


def write_best(group: Group, best: FrozenTrial, metric: str, number: int) -> Path:
    """Write the best settings as a config of the usual short form, and return its path.

    Args:
        group: The folder of the sweep.
        best: The best trial.
        metric: The name of the metric that chose it.
        number: The number of trials that it was chosen from.
    """
    path = group.folder / "best.yaml"
    short = described([*group.words, *words(best.params)]).short
    short = {name: short[name] for name in sorted(short, key=[*SECTIONS, *short].index)}
    head = (
        f"# python -m src.cli fit --config {path}\n"
        f"# Expect {metric} {shown(metric, best.value)}, the best of {number} trials (trial"
        f" {first_number(best)}).\n"
    )
    write_whole(path, head + yaml.safe_dump(short, sort_keys=False, default_flow_style=None))
    return path


def refit(
    group: Group, best: FrozenTrial, seeds: int, jobs: int, threads: int
) -> list[dict[str, float]]:
    """Train the best settings with seeds that no trial had, and return the metrics of each run.

    Finished runs are left as they are.

    Args:
        group: The folder of the sweep.
        best: The best trial.
        seeds: The number of runs.
        jobs: The number of runs at once.
        threads: The threads of each.

    Raises:
        UserError: If a run fails.
    """
    first = group.settings["seed_everything"] + 1
    runs = {seed: f"trial_{first_number(best)}_seed_{seed}" for seed in range(first, first + seeds)}
    with lock(group.folder / ".refit"):  # another worker would train the same
        left = {seed: run for seed, run in runs.items() if results(group, run) is None}
        tasks = [task(group, best, seed, run) for seed, run in left.items()]
        ended = run_all(tasks, min(jobs, max(1, len(tasks))), group.words, threads)
        codes = [*with_bar(ended, "Training the best settings", len(tasks))]
        if failed := [done.log for done, code in codes if code]:
            raise UserError(f"A run with the best settings failed: see {failed[0]}.")
    found = [results(group, run) for run in runs.values()]
    return [one["metrics"] for one in found if one]


def task(group: Group, best: FrozenTrial, seed: int, run: str) -> Task:
    chosen = [*words(best.params), f"--seed_everything={seed}"]
    log = group.folder / "logs" / f"{run}.log"
    return Task(train_and_test, (group.run_words(run, *chosen),), log)


def results(group: Group, run: str) -> dict[str, Any] | None:
    return read_results(group.run_folder(run))
