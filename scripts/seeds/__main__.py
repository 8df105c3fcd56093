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

from scripts.many.warm import warm_up
from scripts.shared.options import ToolParser, whole

OWN = ("--seed_everything", "--resume", "--ckpt_path", "--folder")  # the tool gives them


def main(args: Sequence[str] | None = None) -> None:
    options, words = parse(args)
    warm_up(words)
    from scripts.seeds.answer import train_and_answer

    command = shlex.join(["./scripts/run", "seeds", *(sys.argv[1:] if args is None else args)])
    train_and_answer(words, options, command)


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the tool, and the words for `fit`."""
    usage = "%(prog)s N --config FILE [--first SEED] [--jobs N] [flags of fit]"
    parser = ToolParser("seeds", __doc__, usage=usage)
    add = parser.add_argument
    add("n", metavar="N", type=whole, help="number of seeds")
    add("--first", type=int, default=0, metavar="SEED", help="the first seed; default 0")
    jobs = (
        "seeds to train at once, which share the cores; default one for each core, and 1 together"
    )
    add("--jobs", type=whole, default=None, metavar="N", help=jobs)
    together = "make the steps of all seeds of a process together; default on a GPU only"
    add("--together", action=argparse.BooleanOptionalAction, default=None, help=together)
    options, words = parser.parse_known_args(args)
    parser.check_meant(words)
    parser.check_free(words, OWN)
    parser.check_experiment(words)
    return options, words


if __name__ == "__main__":
    main()
