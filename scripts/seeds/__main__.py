"""Trains a config with several seeds: mean, standard deviation, curves and a page.

    ./scripts/run seeds 8 --config configs/mnist_mlp.yaml
    ./scripts/run seeds 8 --config configs/mnist_lenet.yaml --trainer.max_epochs 3 --jobs 2

It accepts the flags of `fit`. Each seed is an ordinary run, in lightning_logs/seeds/version_N, to
resume, compare or test like any other. The same command goes on where it was stopped or killed, and
leaves finished seeds as they are; with a larger number it trains the missing ones.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from jsonargparse.typing import PositiveInt

from scripts.many.groups import Group, default_words, open_group
from scripts.many.progress import bar, epochs_of
from scripts.many.warm import Task, cores, run_all
from scripts.seeds.answer import answer
from scripts.seeds.together import train_together
from scripts.shared.options import ToolParser
from src.cli import main as linenet
from src.command.failures import short_errors
from src.runs.results import read_results


def main(args: Sequence[str] | None = None) -> None:
    options, words = parse(args)
    command = shlex.join(["./scripts/run", "seeds", *(sys.argv[1:] if args is None else args)])
    with short_errors(), ExitStack() as stack:
        group = open_group("seeds", default_words(words), {}, stack)
        seeds = range(options.first, options.first + options.n)
        train(group, [seed for seed in seeds if not is_done(group, seed)], options)
        done = [seed for seed in seeds if is_done(group, seed)]
        if done:
            answer(group, done, command)
        if failed := [seed for seed in seeds if seed not in done]:
            fail(group, failed)


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the tool, and the words for `fit`."""
    usage = "%(prog)s N --config FILE [--first SEED] [--jobs N] [flags of fit]"
    parser = ToolParser("seeds", __doc__, usage=usage)
    add = parser.add_argument
    add("n", metavar="N", type=PositiveInt, help="number of seeds")
    add("--first", type=int, default=0, metavar="SEED", help="the first seed; default 0")
    jobs = "seeds to train at once, which share the cores; default one for each core"
    add("--jobs", type=PositiveInt, default=None, metavar="N", help=jobs)
    together = "make the steps of all seeds of a process together; default on a GPU only"
    add("--together", action=argparse.BooleanOptionalAction, default=None, help=together)
    options, words = parser.parse_known_args(args)
    if any(word.startswith("--seed_everything") for word in words):
        parser.error("--seed_everything: the tool gives each run its seed; use --first SEED")
    options.jobs = min(options.jobs or cores(), options.n)
    return options, words


def train(group: Group, seeds: Sequence[int], options: argparse.Namespace) -> None:
    """Train the seeds in processes of their own, or together in a few."""
    if not seeds:
        return
    jobs = min(options.jobs, len(seeds))
    shares = [seeds[i::jobs] for i in range(jobs)] if options.together else [[s] for s in seeds]
    folders = [group.run_folder(name_of(seed)) for seed in seeds]
    total = len(seeds) * max(1, group.settings["trainer"]["max_epochs"] or 1)
    with bar(f"Training {len(seeds)} seeds", total, partial(epochs_of, folders)):
        for _ in run_all([task_of(group, share) for share in shares], jobs, group.words):
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
    results = read_results(group.run_folder(name_of(seed))) or {"metrics": {}}
    return any(name.startswith("test/") for name in results["metrics"])


def name_of(seed: int) -> str:
    return f"seed_{seed}"


def fail(group: Group, failed: Sequence[int]) -> None:
    """Print the last line of what a failed run has printed, and exit with code 1."""
    log = group.folder / "logs" / f"{name_of(failed[0])}.txt"
    lines = log.read_text().strip().splitlines() or ["it printed nothing"]
    others = f", and {len(failed) - 1} more" if failed[1:] else ""
    print(f"error: seed {failed[0]} failed{others}: {lines[-1]}\nSee {log}.", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
