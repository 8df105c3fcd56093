"""Predictions of the folds: each training sample by the run without it, the test set by all."""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from scripts.folds.training import name
from scripts.many.groups import Group
from scripts.shared.trained import Trained, open_run
from src.data.base import EVALUATION_BATCH, EVALUATION_VALUES, Split
from src.data.images import ImageData
from src.progress_bar import with_bar


@dataclass
class Predictions:
    """The probabilities that the runs of a cross-validation give.

    Attributes:
        fold: The fold that each training sample is held out in `(n,)`.
        held_out: Probabilities of each training sample by the run without it `(n, classes)`.
        test: Probabilities of each test sample, the mean over the runs `(m, classes)`.
    """

    fold: Tensor
    held_out: Tensor
    test: Tensor


def predict(group: Group, data: ImageData) -> Predictions:
    """Return the predictions of all runs of a cross-validation.

    Args:
        group: The group, whose runs are finished.
        data: The data of one of the folds.
    """
    train, test = data.splits["train"], data.splits["test"]
    parts = data.parts(train.y)
    found = Predictions(
        torch.full((len(train.y),), -1),
        torch.zeros(len(train.y), data.num_classes),
        torch.zeros(len(test.indices), data.num_classes, dtype=torch.float64),
    )
    for fold, part in enumerate(with_bar(parts, "Predicting")):
        trained = open_run(str(group.run_folder(name(fold))), "folds")
        found.fold[part] = fold
        found.held_out[part] = probabilities(trained, Split(train.x, train.y, part))
        found.test += probabilities(trained, test).double() / len(parts)
    return found


@torch.inference_mode()
def probabilities(trained: Trained, split: Split) -> Tensor:
    """Return the probabilities that a run gives for the samples of a split `(k, classes)`."""
    size = max(1, min(EVALUATION_BATCH, EVALUATION_VALUES // prod(trained.data.input_shape)))
    batches = [(split.x[chosen], split.y[chosen]) for chosen in split.indices.split(size)]
    prepared = (trained.data.on_after_batch_transfer(batch, 0)[0] for batch in batches)
    return torch.cat([trained.classified(x) for x in prepared])
