"""Keeps library adverts and harmless warnings off the screen; real warnings stay."""

import logging
import warnings

HARMLESS = (
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's use of torch internals
    r".*use `self.log\(.*sync_dist=True\)`",  # metrics are summed over processes before logging
    r".*Checkpoint directory .* exists and is not empty",  # the folder of the run being tested
    r"You're resuming from a checkpoint that ended before",  # the loader finds its place by itself
    r"Precision .* is not supported by the model summary",
    r"The number of training batches .* is smaller than the logging interval",  # Model sees to it
    r".*LightningCLI's args parameter is intended",  # main(args) called from Python
)


def quieten() -> None:
    """Hide Lightning's information lines, its tips, and the warnings above; shorten others."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in HARMLESS:
        warnings.filterwarnings("ignore", message)
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"  # and no line of source


def quieten_evaluation() -> None:
    """Hide that a tested checkpoint lies in another run's folder; to go on training, it matters."""
    warnings.filterwarnings("ignore", "The dirpath has changed from")
