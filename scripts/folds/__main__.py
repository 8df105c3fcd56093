"""Cross-validates: a run per fold predicts the training samples that it has not seen.

    ./scripts/run folds 5 --config configs/mnist_logistic.yaml
    ./scripts/run folds 5 --config configs/mnist_mlp.yaml --trainer.max_epochs 5 --jobs 2
    ./scripts/run folds 5 --config configs/folder_lenet.yaml --data.path FOLDER --data.groups folder

It accepts the arguments of `fit`, and divides the training set into stratified folds; with
--data.groups, no group is divided. Killed or stopped at any point, the same command goes on. Into
lightning_logs/folds/version_N it writes out_of_fold.csv, a confusion matrix, folds.json and
report.html. The test set is used once, at the end: by the ensemble, the mean probabilities of all
folds. Each fold keeps the weights of its last epoch, so that the samples it is judged on have
chosen nothing; --checkpoint.monitor val/acc keeps its best epoch, and is slightly optimistic.
"""

import argparse
import json
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
from scripts.folds.files import RECORD, write
from scripts.folds.predictions import predict
from scripts.folds.tables import show
from scripts.folds.training import train
from scripts.many.groups import open_group
from scripts.many.resolved import data_of, resolved
from scripts.many.warm import cores
from scripts.shared.options import ToolParser, whole
from src.command.failures import short_errors
from src.command.signals import SignalHandlers
from src.data.images import ImageData
from src.errors import UserError
from src.imports import import_class
from src.training.stop_request import StopRequest

OWN = (  # arguments of `fit` that would contradict what is done here
    "--resume", "--ckpt_path", "--data.fold", "--data.folds", "--trainer.limit_test_batches",
)  # fmt: skip
DEFAULTS = {  # arguments of `fit` unless they are given: neither page nor pictures, the last epoch
    "--report": "--report=false",
    "--figures": "--figures.only=[]",
    "--checkpoint.monitor": "--checkpoint.monitor=null",
}


def number(text: str) -> int:
    """Return the number of folds."""
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"expected the number of folds, from 2 on, got {text!r}")
    return int(text)


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of this tool, and the arguments for `fit`."""
    usage = "%(prog)s FOLDS --config FILE [--jobs N] [options of fit]"
    parser = ToolParser("folds", __doc__, usage=usage, epilog="See also: ./scripts/run fit --help")
    parser.add_argument("folds", metavar="FOLDS", type=number, help="number of folds, from 2 on")
    text = "number of runs at once, which share the cores; default all cores"
    parser.add_argument("--jobs", type=whole, metavar="N", help=text)
    options, words = parser.parse_known_args(args)
    if not words:
        parser.error("give --config FILE, e.g. configs/mnist_logistic.yaml")
    parser.check_meant(words)
    parser.check_free(words, OWN)
    options.jobs = min(cores(), options.folds) if options.jobs is None else options.jobs
    return options, words


def added(words: list[str], folds: int) -> list[str]:
    """Return the arguments for `fit` that are added to those given, for all folds."""
    missing = [
        flag for name, flag in DEFAULTS.items() if not any(word.startswith(name) for word in words)
    ]
    return [*missing, "--trainer.limit_test_batches=0", f"--data.folds={folds}"]


def check(settings: dict[str, Any]) -> None:
    """Refuse settings of a `fit` that cannot be cross-validated.

    Raises:
        UserError: With the setting and what to give instead.
    """
    kind = import_class(settings["data"]["class_path"])
    if not issubclass(kind, ImageData):
        raise UserError(
            f"folds divides data sets of images; --data {kind.__name__} generates as many samples"
            " as you ask for.\nGive --data MNIST, CIFAR10 or ImageFolder."
        )


def cross_validate(options: argparse.Namespace, words: list[str], stack: ExitStack) -> None:
    """Train what is not trained yet, predict, write and print.

    Args:
        options: The options of this tool.
        words: The arguments for `fit`.
        stack: Keeps the lock of the group.
    """
    check(resolved(words)[1])
    common = added(words, options.folds)
    first = [*words, *common, "--data.fold=0"]
    data = data_of(first)  # what is wrong with it shows before all else
    own = {"folds": options.folds, "seed": data.seed, "data": data.digest}
    group = open_group("folds", first, own, stack)
    group.words = [*words, *common]
    train(group, options.folds, options.jobs)
    if not (record := group.folder / RECORD).exists():
        command = shlex.join(["./scripts/run", "folds", str(options.folds), *words])
        write(group, data, predict(group, data), command)
    show(json.loads(record.read_text(encoding="utf-8")), group.folder)


def main(args: Sequence[str] | None = None) -> None:
    options, words = parse(args)
    with short_errors(), SignalHandlers(StopRequest()), ExitStack() as stack:
        cross_validate(options, words, stack)


if __name__ == "__main__":
    main()
