"""Compares exported files with the trained model, and measures their latency."""

import hashlib
import time
from statistics import median

import torch
from torch import Tensor

from scripts.export.formats import FORMATS, Facts, Run
from scripts.shared.trained import Trained
from src.errors import UserError

SIZES = (1, 2, 7, 64, 1000)  # batch sizes
TOLERANCE = 1e-4  # largest difference of probabilities that counts as rounding
CALLS, WARM_UP = 200, 20


@torch.inference_mode()
def checked(trained: Trained, images: Tensor, files: dict[str, bytes]) -> dict[str, Facts]:
    """Measure the model itself and each file, loaded from its bytes.

    Returns:
        By name: size, checksum, differences from the model, and latency.

    Raises:
        UserError: If the output of a file differs from the model's.
    """
    model = trained.probabilities
    expected = torch.cat([model(x) for x in images.split(max(SIZES))])
    found: dict[str, Facts] = {"the model itself": {"milliseconds": latency(model, images)}}
    for name, content in files.items():
        run = FORMATS[name][1](content)
        difference, flips = compared(name, run, images, expected)
        found[name] = {
            "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
            "largest_difference": difference, "flips": flips, "milliseconds": latency(run, images),
        }  # fmt: skip
    return found


def compared(name: str, run: Run, images: Tensor, expected: Tensor) -> tuple[float, int]:
    """Return the largest difference and the most flipped predictions, over all batch sizes.

    Raises:
        UserError: If a prediction is flipped or a probability differs by more than rounding.
    """
    found = torch.stack([torch.cat([run(x) for x in images.split(size)]) for size in SIZES])
    difference = (found - expected).abs().max().item()
    flips = int((found.argmax(dim=2) != expected.argmax(dim=1)).sum(dim=1).max())
    if flips or not difference < TOLERANCE:  # "not <" refuses NaN, too
        raise UserError(
            f"{name} differs from the model: {flips} of {len(images):,} predictions are flipped,"
            f"\nprobabilities differ by up to {difference:.2g}, expected less than"
            f" {TOLERANCE:g}. Nothing was written."
        )
    return difference, flips


def latency(run: Run, images: Tensor) -> float:
    """Return the median latency for a single image, in milliseconds."""
    times = []
    for i in range(WARM_UP + CALLS):
        image = images[i % len(images)][None]
        started = time.perf_counter()
        run(image)
        times.append(time.perf_counter() - started)
    return 1000 * median(times[WARM_UP:])
