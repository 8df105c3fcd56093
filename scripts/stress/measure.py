"""Measures runs: corruptions, an attack, calibration, and confidence in strange images."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from scripts.shared.trained import Trained
from scripts.stress.material import Material
from src.data.corruptions import CORRUPTIONS, STRENGTHS, corrupted
from src.inference.attack import fast_gradient, log_odds
from src.inference.calibration import auroc, calibration, scaled, temperature
from src.progress_bar import with_bar

Record = dict[str, Any]
ATTACK = "attack"
EPSILONS = (0.01, 0.03, 0.1, 0.2, 0.3)  # of pixels in [0, 1]


class Measured(NamedTuple):
    """What was measured for a run.

    Attributes:
        record: The numbers, as in stress.json.
        sure: Its confidence in each image, by what the images show.
    """

    record: Record
    sure: dict[str, Tensor]


@torch.no_grad()
def measured(runs: Sequence[Trained], on: Material, seed: int) -> list[Measured]:
    """Return what is measured for each run, on the same images.

    Args:
        runs: The runs.
        on: The images.
        seed: Seed of the corruptions.
    """
    found = [certainty(run, on) for run in runs]
    names = [*on.corruptions, ATTACK]
    sums = {name: torch.zeros(len(runs), 2, STRENGTHS, dtype=torch.float64) for name in names}
    work = ((name, i, x, y) for name in names for i, (x, y) in enumerate(on.blocks()))
    total = len(names) * sum(1 for _ in on.blocks())
    for name, block, x, y in with_bar(work, "Corrupting images", total):
        made = strengths(name, x, y, seed, block)
        sums[name] += torch.stack([score(run, made(run), y) for run in runs])
    for i, one in enumerate(found):
        one.record["under"] = {name: shares(part[i], len(on.y)) for name, part in sums.items()}
    return found


def strengths(
    name: str, x: Tensor, y: Tensor, seed: int, block: int
) -> Callable[[Trained], Tensor]:
    """Return a function of a run that returns images in five strengths.

    The attack depends on the run; a corruption is made once, for all of them.
    """
    if name == ATTACK:
        return lambda run: fast_gradient(loss_of(run, y), x, EPSILONS)
    same = corrupted(name, x, seed, [*CORRUPTIONS].index(name), block)
    return lambda run: same


def loss_of(run: Trained, y: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what the attack raises, as a function of images in [0, 1]: the loss of the run."""
    entropy = run.model.hparams["loss"] == "cross_entropy"
    loss = log_odds if entropy else run.model.loss
    return lambda x: loss(run.model(run.normalised(255 * x)), y)


def predicted(run: Trained, x: Tensor) -> Tensor:
    """Return the probabilities `(n, classes)` of images in [0, 1]."""
    return run.probabilities(255 * x)


def score(run: Trained, x: Tensor, y: Tensor) -> Tensor:
    """Return how many images are right, and the sum of confidence, in each strength: `(2, 5)`."""
    sure, answers = predicted(run, x.flatten(0, 1)).max(dim=1)
    right = answers.view(len(x), -1) == y
    return torch.stack([right.sum(dim=1), sure.view(len(x), -1).double().sum(dim=1)])


def shares(sums: Tensor, n: int) -> Record:
    accuracy, confidence = (sums / n).tolist()
    return {"acc": accuracy, "confidence": confidence}


def certainty(run: Trained, on: Material) -> Measured:
    """Return how sure a run is about test images as they are and about strange ones."""
    clean = torch.cat([predicted(run, x) for x, _ in on.blocks()])
    sure, answers = clean.max(dim=1)
    strange = {name: confidence(run, x) for name, x in on.strange.items()}
    record = {
        "run": run.name,
        "checkpoint": str(run.path),
        "acc": float((answers == on.y).double().mean()),
        "confidence": float(sure.double().mean()),
        "calibration": before_and_after(run, clean, on.y),
        "strange": {name: {"auroc": auroc(sure, values), "confidence": float(values.mean())}
                    for name, values in strange.items()},
    }  # fmt: skip
    return Measured(record, {"test set": sure} | strange)


def confidence(run: Trained, images: Tensor) -> Tensor:
    """Return the probability of the predicted class of uint8 images."""
    parts = [run.probabilities(part).amax(dim=1) for part in images.split(1000)]
    return torch.cat(parts)


def before_and_after(run: Trained, clean: Tensor, y: Tensor) -> Record:
    """Return calibration on the test set, also at the temperature that the validation set chose."""
    found: Record = {"before": calibration(clean, y)._asdict()}
    if "val" not in run.data.splits:
        return found
    val = run.data.splits["val"]
    parts = [run.classified(run.data.on_after_batch_transfer((val.x[i], val.y[i]), 0)[0])
             for i in val.indices.split(1000)]  # fmt: skip
    found["temperature"] = temperature(torch.cat(parts), val.y[val.indices])
    found["after"] = calibration(scaled(clean, found["temperature"]), y)._asdict()
    return found
