"""The course of a cross-validation: checks, the runs, their predictions and the answer."""

import argparse
import json
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
from scripts.many.resolved import resolved
from scripts.many.warm import cores
from src.command.failures import short_errors
from src.command.signals import SignalHandlers
from src.data.images import ImageData
from src.errors import UserError
from src.imports import import_class
from src.training.stop_request import StopRequest

DEFAULTS = {  # arguments of `fit` unless they are given: neither page nor pictures, the last epoch
    "--report": "--report=false",
    "--figures": "--figures.only=[]",
    "--checkpoint.monitor": "--checkpoint.monitor=null",
}


def added(words: Sequence[str], folds: int) -> list[str]:
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


def cross_validate(options: argparse.Namespace, words: Sequence[str], command: str) -> None:
    """Train what is not trained yet, predict, write and print.

    Args:
        options: The options of this tool.
        words: The arguments for `fit`.
        command: The command that repeats it.

    Raises:
        SystemExit: After a message, if arguments are wrong or a fold has failed.
    """
    with short_errors(), SignalHandlers(StopRequest()), ExitStack() as stack:
        _cross_validate(options, words, command, stack)


def _cross_validate(
    options: argparse.Namespace, words: Sequence[str], command: str, stack: ExitStack
) -> None:
    _, settings = resolved(words)
    check(settings)
    common = added(words, options.folds)
    own = {"folds": options.folds, "seed": settings["seed_everything"]}
    group = open_group("folds", [*words, *common, "--data.fold=0"], own, stack)
    group.words = [*words, *common]
    most = group.settings["threads"] or cores()
    train(group, options.folds, options.jobs or min(most, options.folds))
    if not (record := group.folder / RECORD).exists():
        write(group, group.data, predict(group, group.data), command)
    show(json.loads(record.read_text(encoding="utf-8")), group.folder)
