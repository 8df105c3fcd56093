"""The course of a sweep: checks, trials, the best settings, and the page."""

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from hashlib import sha256
from multiprocessing.process import BaseProcess
from statistics import mean, stdev
from typing import Any

import optuna
import torch
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial

from scripts.many.groups import OF_RUNS, Group, default_words, open_group
from scripts.many.numbers import shown
from scripts.many.warm import Task, is_ready, share, starter
from scripts.sweep.attempts import REASON, first_number
from scripts.sweep.best import refit, write_best
from scripts.sweep.display import Display, print_table
from scripts.sweep.outcome import Outcome, outcome, saved, seconds
from scripts.sweep.page import write_page
from scripts.sweep.pictures import pictures
from scripts.sweep.presence import Presence
from scripts.sweep.settings import Described, described
from scripts.sweep.space import Space, text
from scripts.sweep.space_file import read_space
from scripts.sweep.storage import open_storage, storage_errors, without_password
from scripts.sweep.study import LARGEST_GRID, grid_points, open_study, pruner, sampler
from scripts.sweep.worker import Worker
from src.command.defaults import better
from src.runs.settings import flat

FILE = "study.db"
TRIALS = 50
PLACES = (*OF_RUNS, "trainer.default_root_dir")  # may differ between the workers of a sweep


def sweep(options: argparse.Namespace, given: Sequence[str], stack: ExitStack, command: str) -> int:
    """Run a sweep, or go on with it, and return the exit code.

    Args:
        options: The options of the tool.
        given: The words of `fit` that all trials share.
        stack: Keeps what is open until the end.
        command: The command line.
    """
    warnings.simplefilter("ignore", ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    words = default_words(given)
    fit = described(words)
    space = read_space(options.space, words)
    total = number_of_trials(options, space)
    own = identity(options, space, fit)
    if options.storage:
        open_storage(options.storage)  # fails here, before a folder is made
    group = open_group("sweeps", words, own, stack, shared=True)
    url = options.storage or f"sqlite:///{group.folder}/{FILE}"
    with storage_errors(url):
        study = opened(options, space, fit, {**own, "data": group.data.digest}, url)
        announce(group, space, total)
        start = warm_starter(group, threads(group, options.jobs))
        presence = Presence(group.folder / "workers", stack)
        with Display(study, total, fit.metric) as display:
            Worker(study, space, group, total, options.jobs, presence, start, display.show).run()
    found = outcome(study, study.get_trials(deepcopy=False), total)
    rows = facts(found, fit)
    if found.best:
        rows = [*best_facts(found.best, fit), *rows, *used(options, group, found, fit)]
    images = pictures(study, fit.metric)
    page = write_page(group, fit.metric, found, rows, images, command)
    print_table(f"Sweep of {fit.name}", [*rows, ("page", page)])
    return 0 if found.best else 1


def number_of_trials(options: argparse.Namespace, space: Space) -> int:
    """Return how many trials are wanted: of a grid all, if no number is given."""
    if options.sampler == "grid":
        return min(options.trials or LARGEST_GRID, len(grid_points(space)))
    return options.trials or TRIALS


def opened(
    options: argparse.Namespace, space: Space, fit: Described, own: dict[str, Any], url: str
) -> Study:
    """Return the study in a storage."""
    return open_study(
        open_storage(url),
        study_name(own, fit),
        better(fit.metric),
        sampler(options.sampler, space, own["seed"]),
        pruner(options.pruner, fit.epochs),
    )


def warm_starter(group: Group, threads: int) -> Callable[[Task], BaseProcess]:
    """Return what starts a trial, when libraries are imported and the data is read."""
    start = starter(group.words, threads)
    start(Task(is_ready, (), group.folder / "logs" / "start.log")).join()
    return start


def identity(options: argparse.Namespace, space: Space, fit: Described) -> dict[str, Any]:
    """Return what makes a sweep another one, besides the settings that its trials share."""
    return {
        "space": [asdict(setting) for setting in space],
        "sampler": options.sampler,
        "pruner": options.pruner,
        "seed": fit.settings["seed_everything"],
        "storage": without_password(options.storage) if options.storage else None,
    }


def threads(group: Group, jobs: int) -> int:
    """Return the threads of each of some processes; OMP_NUM_THREADS limits them."""
    return share(jobs, group.settings["threads"] or torch.get_num_threads())


def study_name(own: dict[str, Any], fit: Described) -> str:
    """Return a name that all workers of a sweep find, and no other sweep has."""
    settings = {k: v for k, v in flat(fit.settings).items() if not k.startswith(PLACES)}
    content = json.dumps([settings, {**own, "storage": None}], sort_keys=True)
    return f"{fit.name}-{sha256(content.encode()).hexdigest()[:8]}"


def announce(group: Group, space: Space, total: int) -> None:
    """Say what is tried."""
    print(f"Sweep in {group.folder}: {total} trials, which differ in")
    for setting in space:
        print(f"  {setting.name}: {setting}", flush=True)


def facts(found: Outcome, fit: Described) -> list[tuple[str, str]]:
    """Return name and text of what all trials say."""
    numbers = [(found.complete, "complete"), (found.pruned, "pruned"), (found.failed, "failed")]
    took = f"{sum(map(seconds, found.trials)):.1f} in trials"
    if found.pruned and fit.epochs:
        took += f", about {saved(found.pruned, fit.epochs):.0f} saved"
    rows = [
        ("trials", ", ".join(f"{len(trials)} {name}" for trials, name in numbers)),
        ("seconds", took),
    ]
    if not found.best:
        reasons = [one.user_attrs.get(REASON) for one in (*found.failed, *found.pruned)]
        rows.append(("first reason", next(filter(None, reasons), "all were pruned")))
    return rows


def best_facts(best: FrozenTrial, fit: Described) -> list[tuple[str, str]]:
    """Return the result and the settings of the best trial."""
    value = f"{fit.metric} {shown(fit.metric, best.value)} (trial {first_number(best)})"
    return [("best", value), *((name, text(value)) for name, value in best.params.items())]


def used(
    options: argparse.Namespace, group: Group, found: Outcome, fit: Described
) -> list[tuple[str, str]]:
    """Write the best settings and, if asked for, train them with other seeds and test them.

    Returns:
        Name and text of what came of it.
    """
    assert found.best
    path = write_best(group, found.best, fit.metric, len(found.trials))
    rows = []
    if options.refit:
        share_of_each = threads(group, options.jobs)
        metrics = refit(group, found.best, options.refit, options.jobs, share_of_each)
        for name in sorted(name for name in metrics[0] if name.startswith("test/")):
            values = [one[name] for one in metrics]
            found_again = shown(name, mean(values), stdev(values) if values[1:] else None)
            rows.append((name, f"{found_again}, best settings with {len(metrics)} other seeds"))
    return [*rows, ("best settings", str(path))]
