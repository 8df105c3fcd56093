"""Pictures of a stress test."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scripts.shared.trained import Trained
from scripts.stress.material import Material
from scripts.stress.measure import ATTACK, EPSILONS, Measured, loss_of
from scripts.stress.tables import CLEAN, amounts, labels
from src.data.corruptions import corrupted
from src.inference.attack import fast_gradient
from src.plots.stress import Panel, accuracies, confidences, examples, reliabilities
from src.plots.style import png

SHOWN = 5  # strange images in a row of examples, after the first


def drawn(runs: Sequence[Trained], found: Sequence[Measured], on: Material) -> dict[str, bytes]:
    """Return the pictures as PNG files, by their captions; that of the corruptions first."""
    names = labels([one.record for one in found])
    sure = {name: one.sure for name, one in zip(names, found, strict=True)}
    pictures = {
        "Accuracy by strength, from the images as they are; dotted: guessing. "
        "ε is how far the attack moves each pixel at most, on a scale from 0 to 1.":
            accuracies(panels(names, found), 1 / on.data.num_classes),
        f"An image in each strength, the attack on {names[0]}, and strange images.":
            examples(rows(runs[0], on)),
        "Accuracy by confidence before and after temperature scaling, with the 95 % interval "
        "(Wilson) of each of 15 bins.": reliabilities(bins(names, found)),
        "How sure each network is about the test set, and about images of none of its classes: the "
        "share of images with a confidence of this or more.":
            confidences(sure),
    }  # fmt: skip
    return {caption: png(figure) for caption, figure in pictures.items()}


def panels(names: Sequence[str], found: Sequence[Measured]) -> dict[str, Panel]:
    records = dict(zip(names, (one.record for one in found), strict=True))

    def values(corruption: str, of: str) -> dict[str, list[float]]:
        return {name: [r[of], *r["under"][corruption][of]] for name, r in records.items()}

    first = next(iter(records.values()))
    return {name: Panel([CLEAN, *amounts(name)], values(name, "acc"), values(name, "confidence"))
            for name in first["under"]}  # fmt: skip


def rows(run: Trained, on: Material) -> dict[str, tuple[Tensor, list[str]]]:
    """Return the first test image under each corruption and attack, and some strange images."""
    x, y = (part[:1] for part in next(on.blocks()))
    made = {name: corrupted(name, x, 0) for name in on.corruptions}
    with torch.no_grad():
        made[ATTACK] = fast_gradient(loss_of(run, y), x, EPSILONS)
    shown = {name: (torch.cat([x, images[:, 0]]), [CLEAN, *amounts(name)])
             for name, images in made.items()}  # fmt: skip
    for name, images in on.strange.items():
        some = images[torch.linspace(0, len(images) - 1, SHOWN + 1).long()]
        shown[name] = some.float() / 255, []
    return shown


def bins(names: Sequence[str], found: Sequence[Measured]) -> dict[str, Any]:
    """Return the bins of each run before and after temperature scaling."""
    pairs = {}
    for name, one in zip(names, found, strict=True):
        both = one.record["calibration"]
        pairs[name] = both["before"]["bins"], both.get("after", both["before"])["bins"]
    return pairs
