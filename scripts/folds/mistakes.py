"""The training samples that the runs without them get most wrong: wrong labels are among them."""

import torch
from matplotlib.figure import Figure

from scripts.folds.predictions import Predictions
from src.data.images import ImageData
from src.plots.images import image_sheet

MOST = 30  # images


def worst(found: Predictions, y: torch.Tensor) -> torch.Tensor:
    """Return the mistakes with the lowest probability of the true class, worst first `(k,)`."""
    wrong = found.held_out.argmax(dim=1) != y
    truth = found.held_out.gather(1, y[:, None])[:, 0]
    order = torch.where(wrong, truth, torch.inf).argsort(stable=True)
    return order[: min(MOST, int(wrong.sum()))]


def mistakes(data: ImageData, found: Predictions) -> Figure | None:
    """Draw the worst mistakes with prediction, probability, true class and place in the data.

    Args:
        data: The data of one of the folds.
        found: The predictions of all runs.

    Returns:
        The picture; None if there are no mistakes.
    """
    split, names, files = data.splits["train"], data.class_names, data.training_files
    chosen = worst(found, split.y)
    if not len(chosen):
        return None
    sure, predicted = found.held_out[chosen].max(dim=1)
    captions = [
        f"{names[p]}  {100 * c:.0f} %\ntrue: {names[split.y[i]]}\n{files[i][-1] if files else i}"
        for i, p, c in zip(chosen.tolist(), predicted.tolist(), sure.tolist(), strict=True)
    ]
    title = "worst mistakes out of fold: prediction, probability, true class, sample"
    return image_sheet(title, split.x[chosen] / 255, captions, [False] * len(captions))
