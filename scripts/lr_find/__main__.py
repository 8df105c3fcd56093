"""Suggests a learning rate by a search over a few hundred steps.

    ./scripts/run lr_find --config configs/mnist_lenet.yaml
    ./scripts/run lr_find --config configs/mnist_mlp.yaml --model.hidden [64] --max_lr 1

It accepts the arguments of `fit`, builds the same model and data without the scheduler, and writes
only a picture to lightning_logs/lr_find/. The suggestion is where the smoothed loss falls fastest
over the logarithm of the rate, a conservative choice; higher rates up to the lowest loss are worth
trying, mainly as max_lr of OneCycleLR. The search uses Lightning's Tuner. The method is from
L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3.
"""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")  # Lightning leaves its bar open; read at import

import src.libraries  # noqa: F401  (first)

# isort: split
import numpy as np
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.tuner import Tuner
from rich.console import Console

from scripts.lr_find.curve import raw, report, smooth, steepest
from scripts.shared.options import ToolParser
from src.cli import main as linenet
from src.command.experiment import ExperimentCLI
from src.command.run_folder import experiment_name, is_rank_zero
from src.errors import UserError

SETTINGS = {  # of the trainer: unlimited epochs, no validation, no logging
    "logger": False, "callbacks": None, "enable_checkpointing": False, "fast_dev_run": False,
    "enable_progress_bar": False, "enable_model_summary": False, "max_epochs": -1, "max_steps": -1,
    "max_time": None, "check_val_every_n_epoch": sys.maxsize, "val_check_interval": None,
}  # fmt: skip


class Search(ExperimentCLI):
    """Builds the model and data of `fit`, and searches the learning rate instead of training."""

    def __init__(self, options: argparse.Namespace, *args: Any) -> None:
        self.options = options
        super().__init__(*args)

    def choose_checkpoint(self, command: str, config: Any) -> None:
        if self.folder or config.ckpt_path:
            raise UserError("The search needs initial weights: remove --resume or --ckpt_path.")

    def before_instantiate_classes(self) -> None:
        config = self.config.fit
        if (config.trainer.accumulate_grad_batches or 1) != 1:  # some losses would be missing
            raise UserError(
                "The search makes a step with every batch: give a larger --data.batch_size\n"
                "instead of --trainer.accumulate_grad_batches."
            )
        self.name, self.advice = experiment_name(config), advice(config.model.init_args)
        config.model.init_args.scheduler = None
        folder = self.stack.enter_context(TemporaryDirectory())  # for the Tuner's checkpoint
        for name, value in {**SETTINGS, "default_root_dir": folder}.items():
            config.trainer[name] = value
        super().before_instantiate_classes()
        self.trainer_defaults["callbacks"] = []

    def before_fit(self) -> None:
        """There is no run to resume."""

    def fit(self, model: LightningModule, datamodule: LightningDataModule, **_: Any) -> None:
        with Console(stderr=True).status(f"Trying {self.options.num_training} learning rates"):
            found: Any = Tuner(self.trainer).lr_find(
                model, datamodule=datamodule, update_attr=False, **vars(self.options)
            )
        losses = raw(np.array(found.results["loss"]))
        rates = np.array(found.results["lr"])[: len(losses)]
        smoothed = smooth(losses, self.options.num_training // 20)
        best = steepest(rates, losses, smoothed)
        if is_rank_zero():  # of several processes
            report(self.name, rates, losses, smoothed, best)
            print(self.advice.format(rate=f"{rates[best]:.2g}"))

    def after_fit(self) -> None:
        """There is nothing to test."""


def advice(model: Any) -> str:
    """Return how to set the suggested rate, with the placeholder `{rate}`."""
    cycles = model.scheduler and "max_lr" in model.scheduler.init_args  # max_lr overrides lr
    kind, name = ("scheduler", "max_lr") if cycles else ("optimizer", "lr")
    old = model[kind].init_args[name]
    place = f"model.init_args.{kind}.init_args"
    return (
        f"On the command line:  --model.{kind}.{name} {{rate}}\n"
        f"Or in the config:     {name}: {{rate}}   in place of {old:g}, in {place}"
    )


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the search, and the arguments for `fit`."""
    usage = "%(prog)s --config FILE [--min_lr LR] [--max_lr LR] [--steps N] [options of fit]"
    epilog = "See also: python -m src.cli fit --help"
    parser = ToolParser("lr_find", __doc__, usage=usage, epilog=epilog)
    add = partial(parser.add_argument, metavar="LR", type=float)
    add("--min_lr", default=1e-6, help="lowest rate; default 1e-6")
    add("--max_lr", default=10.0, help="highest rate; default 10")
    steps = "number of steps; default 200"
    add("--steps", dest="num_training", metavar="N", type=int, default=200, help=steps)
    options, words = parser.parse_known_args(args)
    parser.check_experiment(words)
    low, high, number = options.min_lr, options.max_lr, options.num_training
    if not 0 < low < high < math.inf:
        parser.error(f"expected 0 < --min_lr < --max_lr, got {low:g} and {high:g}")
    if number < 20:
        parser.error(f"--steps {number} is too few for a suggestion; give 20 or more")
    return options, words


def main(args: Sequence[str] | None = None) -> None:
    options, words = parse(args)
    linenet(["fit", *words], cli=partial(Search, options))


if __name__ == "__main__":
    main()
