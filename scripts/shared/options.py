"""Parses the options of a tool."""

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn

from scripts.shared.tables import mnist_files

OF_FIT = ("--config", "--model", "--data", "--trainer", "--report", "--tag", "--note", "--resume",
          "--folder", "--threads")  # fmt: skip


def whole(text: str) -> int:
    """Return a whole number from 1 on, as the type of an option."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text}")
    return int(text)


class ToolParser(argparse.ArgumentParser):
    """Parser of a tool that is started with `./scripts/run NAME`; an error takes one line.

    Args:
        name: The name of the tool.
        text: The docstring of the tool, shown by `--help` as it is.
        options: Other options of argparse.
    """

    def __init__(self, name: str, text: str | None, **options: Any) -> None:
        super().__init__(
            prog=f"./scripts/run {name}",
            description=text,
            formatter_class=partial(argparse.RawTextHelpFormatter, width=80),
            allow_abbrev=False,
            **options,
        )

    def add_run(self, text: str) -> None:
        """Add the argument RUN, optional here so that a mistyped option is reported as such."""
        self.add_argument("run", metavar="RUN", nargs="?", help=text)

    def check_run(self, run: str | None) -> None:
        """Exit with an error if RUN is missing."""
        if run is None:
            self.error("RUN is missing: give lightning_logs/NAME/version_N, or latest")

    def check_known(self, kind: str, given: list[str], known: list[str]) -> None:
        """Exit with an error if one of the given names is unknown."""
        if unknown := [name for name in given if name not in known]:
            self.error(f"there is no {kind} {unknown[0]}, expected some of {', '.join(known)}")

    def check_experiment(self, words: Sequence[str]) -> None:
        """Exit with an error if the words of `fit` name no experiment."""
        names = {word.partition("=")[0] for word in words}
        if "--config" not in names and not names >= {"--model", "--data"}:
            self.error("give --config FILE, e.g. configs/mnist_lenet.yaml, or --model and --data")

    def check_free(self, words: Sequence[str], own: Sequence[str]) -> None:
        """Exit with an error if the words of `fit` hold a flag that the tool gives itself."""
        names = [word.partition("=")[0] for word in words]
        if given := [name for name in names if name in own]:
            self.error(f"leave {given[0]} out: the tool gives it to each run")

    def check_meant(self, words: Sequence[str]) -> None:
        """Exit with an error if a word of `fit` is nearly an option of the tool, mistyped."""
        own = [name for action in self._actions for name in action.option_strings]
        for name in (word.partition("=")[0] for word in words if word.startswith("--")):
            near = get_close_matches(name, own, n=1, cutoff=0.7)
            if near and "." not in name and name not in OF_FIT:
                self.error(f"there is no {name}; did you mean {near[0]}?")

    def check_mnist(self) -> None:
        """Exit with an error if the real MNIST files are missing."""
        if not list(mnist_files().glob("train-images-idx3-ubyte*")):
            self.error(
                f"MNIST is not in {mnist_files()}. Set DATA_DIR to the folder that holds MNIST/raw,"
                "\nor download it: ./scripts/run fit --config configs/mnist_logistic.yaml"
            )

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)
