"""Trains a run again from its config, and says whether it ends the same.

    ./scripts/run repeat lightning_logs/mnist_lenet/version_0
    ./scripts/run repeat latest --data.root /other/place

The new run is in lightning_logs/repeats/CONFIG/version_N; nothing is overwritten. Metrics, every
point of every curve and the weights of the best checkpoint are compared: equal to the bit, equal
within rounding, or what differs, and what has changed since then: code, versions, data,
environment, device. Exit code 0 for equal or within rounding, 1 otherwise. It accepts the flags
of `fit`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import src.libraries  # noqa: F401  (first)

# isort: split
from scripts.repeat.answer import Verdict, show, verdict
from scripts.repeat.numbers import compared
from scripts.repeat.reasons import changed
from scripts.repeat.training import train_again
from scripts.shared.options import ToolParser
from src.command.failures import short_errors
from src.errors import UserError
from src.runs.find import find
from src.runs.results import read_results

OWN = ("--config", "--resume", "--ckpt_path", "--folder", "--trainer.logger")  # the tool gives them


def finished(name: str) -> Path:
    """Return the folder of a finished run.

    Raises:
        UserError: If there is none, or it was stopped before its test.
    """
    folder = find(name, None, "repeat")
    if folder is None or read_results(folder) is None:
        raise UserError(
            f"{folder} is not finished: there is nothing to compare with.\n"
            f"Finish it first: ./scripts/run fit --resume {folder}"
        )
    return folder


def main(args: Sequence[str] | None = None) -> None:
    usage = "%(prog)s RUN [flags of fit: --data.root DIR, --threads N]"
    parser = ToolParser("repeat", __doc__, usage=usage)
    parser.add_run("folder of a run, or latest")
    options, words = parser.parse_known_args(args)
    parser.check_run(options.run)
    parser.check_free(words, OWN)
    with short_errors():
        before = finished(options.run)
    after = train_again(before, words)
    if after is None:  # one of several processes of the run; the first one compares
        return
    with short_errors():
        differences = compared(before, after)
        show(before, after, differences, changed(before, after))
    if verdict(differences) is Verdict.DIFFERENT:
        sys.exit(1)


if __name__ == "__main__":
    main()
