"""Measures when trained networks break, and whether they know it.

    ./scripts/run stress lightning_logs/mnist_lenet/version_0
    ./scripts/run stress lightning_logs/mnist_*/version_0        # side by side

Accuracy on corrupted test images in five strengths (blur, noise, contrast, shift, rotation, thick
and thin pen, occlusion) and under a fast-gradient attack; calibration before and after temperature
scaling; and how well confidence tells test images from images of no known class.

Writes stress.json, stress.png and stress.html into RUN/stress/, or for several runs into
lightning_logs/stress/version_N/. Nothing is overwritten.
"""

import argparse
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import src.libraries  # noqa: F401  (first)

# isort: split
from scripts.shared.options import ToolParser, whole
from scripts.shared.trained import Trained, open_run
from scripts.stress.answer import answer
from scripts.stress.material import material
from scripts.stress.measure import measured
from src.command.failures import short_errors
from src.runs.folders import new_folder, new_version


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options, and the arguments for `predict`, e.g. the data folder."""
    usage = (
        "%(prog)s RUN [RUN ...] [--samples N] [--seed N]"
        "\n       [options of predict: --data.root DIR]"
    )
    parser = ToolParser("stress", __doc__, usage=usage)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders of runs, or latest")
    parser.add_argument("--samples", type=whole, metavar="N", help="only N random test images")
    parser.add_argument("--seed", type=int, default=0, metavar="N",
                        help="seed of corruptions and samples; default %(default)s")  # fmt: skip
    options, more = parser.parse_known_args(args)
    parser.check_meant(more)
    return options, more


def new_place(runs: Sequence[Trained], stack: ExitStack) -> Path:
    """Create the folder for the files: in the run, or that of several runs."""
    if len(runs) == 1:
        return new_folder(runs[0].path.parents[1], "stress", stack)
    return new_version(Path("lightning_logs", "stress"), None, stack)


def main(args: Sequence[str] | None = None) -> None:
    options, more = parse(args)
    with short_errors(), ExitStack() as stack:
        runs = [open_run(folder, "stress", more) for folder in options.runs]
        on = material(runs, options.samples, options.seed)
        found = measured(runs, on, options.seed)
        words = ["./scripts/run", "stress", *options.runs, "--seed", str(options.seed)]
        words += ["--samples", str(options.samples)] if options.samples else []
        answer(new_place(runs, stack), runs, found, on, shlex.join([*words, *more]))


if __name__ == "__main__":
    main()
