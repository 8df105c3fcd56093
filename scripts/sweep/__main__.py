"""Searches for the best settings of an experiment over many runs, by Optuna.

    ./scripts/run sweep --config configs/mnist_lenet.yaml --space configs/sweeps/lenet.yaml
    ./scripts/run sweep --config mnist_relu_mlp --space sweeps/mlp --trials 50 --jobs 2 --refit 3
    ./scripts/run sweep --config mnist_relu_mlp --space sweeps/mlp --storage postgresql://me@host/db

It accepts the arguments of `fit`, which all trials share. The space is a short YAML file of
settings and their values; see configs/sweeps/. Trials are proposed and compared by the metric of
the validation set alone. Each is an ordinary run in lightning_logs/sweeps/version_N, without a
test. At the end the best settings are written as best.yaml, with a page about all trials. The same
command goes on with an interrupted sweep, or adds trials. With the same --storage, several machines
share the trials.
"""
# extra: sweep

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from scripts.many.warm import warm_up
from scripts.shared.options import ToolParser, whole
from src.arguments import config_file

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "hyperband", "none")
OF_SRUN = ("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_ID")
STORAGE = """where the trials are kept: sqlite:///FILE, journal:FILE (for
network drives), postgresql://USER@HOST/DATABASE; default a file of
SQLite in the folder of the sweep. All workers with the same command
and storage share the trials"""


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the sweep, and the arguments for `fit`."""
    usage = "%(prog)s --config FILE --space FILE [--trials N] [options of fit]"
    parser = ToolParser("sweep", __doc__, usage=usage)
    add = parser.add_argument
    add("--space", metavar="FILE", help="the settings that are tried, a YAML file")
    add(
        "--trials",
        metavar="N",
        type=whole,
        help="number of trials, of all workers and calls together;\ndefault 50, or the whole grid",
    )
    add("--jobs", metavar="N", type=whole, default=1, help="trials at once; default 1")
    add("--sampler", choices=SAMPLERS, default="tpe", help="what proposes trials; default tpe")
    add(
        "--pruner",
        choices=PRUNERS,
        default="median",
        help="what stops bad trials early, by the metric of each epoch;\ndefault median",
    )
    add("--metric", metavar="NAME", help="default that of the checkpoint, e.g. val/acc")
    add("--storage", metavar="URL", help=STORAGE)
    text = "train the best settings again with N other seeds, and test\nthem; N is 3 if not given"
    add("--refit", metavar="N", type=whole, nargs="?", const=3, help=text)
    options, words = parser.parse_known_args(args)
    if not options.space:
        parser.error("give --space FILE, e.g. configs/sweeps/lenet.yaml")
    parser.check_meant(words)
    parser.check_experiment(words)
    parser.check_free(words, ("--resume", "--ckpt_path", "--folder"))
    options.space = config_file(options.space)
    metric = ["--checkpoint.monitor", options.metric] if options.metric else []
    return options, [*words, *metric]


def main(args: Sequence[str] | None = None) -> None:
    options, words = parse(args)
    for name in OF_SRUN:  # a trial has one process, however many workers srun has started
        os.environ.pop(name, None)
    warm_up(words)
    command = shlex.join(["./scripts/run", "sweep", *(sys.argv[1:] if args is None else args)])
    import src.libraries  # noqa: F401  (first; it takes seconds, while the warm process starts)

    # isort: split
    from scripts.shared.extras import extra
    from src.command.failures import short_errors
    from src.command.signals import SignalHandlers
    from src.training.stop_request import StopRequest

    with short_errors(), extra("sweep", "sweep"):
        from scripts.sweep.course import sweep
    with short_errors(), SignalHandlers(StopRequest()), ExitStack() as stack:
        sys.exit(sweep(options, words, stack, command))


if __name__ == "__main__":
    main()
