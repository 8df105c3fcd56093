"""Hides library tips and harmless warnings; other warnings are printed in one line."""

import logging
import warnings

HARMLESS = (
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's use of torch internals
    r".*use `self.log\(.*sync_dist=True\)`",  # metrics are summed over processes before logging
    r"Experiment logs directory .* exists and is not empty",  # the run folder; its rows are kept
    r".*Checkpoint directory .* exists and is not empty",  # the folder of the run being tested
    r"You're resuming from a checkpoint that ended before",  # the loader skips done batches
    r".*without a model. The last model of the previous",  # with OnExceptionCheckpoint
    r".*is set, but there is no last checkpoint available",  # the same
    r"You're using the WeightAveraging callback, but loading",  # the checkpoint holds the average
    r"\s*Unable to serialize instance",  # jsonargparse; `config.yaml` is written without it
    r"Precision .* is not supported by the model summary",
    r"The number of training batches .* is smaller than the logging interval",  # Model adapts it
    r"The `srun` command is available",  # one process needs no srun; several are checked
    r"The given buffer is not writable",  # torch 2.11 reads .pt2 files like that
    r".*LightningCLI's args parameter is intended",  # main(args) called from Python
)


def quieten() -> None:
    """Hide Lightning's information lines, its tips, and the warnings above; shorten others."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in HARMLESS:
        warnings.filterwarnings("ignore", message)
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"  # without the source line


def quieten_evaluation() -> None:
    """Hide the warning that a checkpoint is from another folder, which matters only in training."""
    warnings.filterwarnings("ignore", "The dirpath has changed from")
