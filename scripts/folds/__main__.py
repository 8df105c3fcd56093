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
import shlex
from collections.abc import Sequence

from scripts.many.warm import warm_up
from scripts.shared.options import ToolParser, whole

OWN = (  # arguments of `fit` that would contradict what is done here
    "--resume", "--ckpt_path", "--folder", "--data.fold", "--data.folds",
    "--trainer.limit_test_batches",
)  # fmt: skip


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
    parser.check_meant(words)
    parser.check_free(words, OWN)
    parser.check_experiment(words)
    return options, words


def main(args: Sequence[str] | None = None) -> None:
    options, words = parse(args)
    warm_up(words)
    from scripts.folds.course import cross_validate

    command = shlex.join(["./scripts/run", "folds", str(options.folds), *words])
    cross_validate(options, words, command)


if __name__ == "__main__":
    main()
