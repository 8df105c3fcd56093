"""What all runs are measured on: the same test images, corruptions and strange images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from scripts.shared.trained import Trained
from src.data import MNIST
from src.data.base import EVALUATION_BATCH, EVALUATION_VALUES
from src.data.corruptions import CORRUPTIONS, STRENGTHS
from src.data.idx import read_idx
from src.data.images import ImageData, Images
from src.data.letters import printed_letters
from src.errors import UserError

NOISE = 1000  # images
FAMILY = {"MNIST": "digits", "KMNIST": "KMNIST", "FashionMNIST": "FashionMNIST"}


@dataclass
class Material:
    """The images for a stress test.

    Attributes:
        x: Test images, uint8 `(n, channels, rows, columns)`, without padding.
        y: Their classes `(n,)`.
        strange: Images of none of the classes, uint8, by what they show.
        corruptions: The names of the corruptions that apply.
        skipped: What does not apply, and why.
        data: The data module of the first run.
    """

    x: Tensor
    y: Tensor
    strange: dict[str, Tensor]
    corruptions: list[str]
    skipped: list[str]
    data: ImageData

    def blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return images in [0, 1] and classes, a thousand at once, or fewer large images."""
        values = STRENGTHS * prod(self.x.shape[1:])
        size = max(1, min(EVALUATION_BATCH, 4 * EVALUATION_VALUES // values))
        pairs = zip(self.x.split(size), self.y.split(size), strict=True)
        return ((x.float() / 255, y) for x, y in pairs)


def material(runs: Sequence[Trained], samples: int | None, seed: int) -> Material:
    """Return what the runs are measured on, and read the data of each of them.

    Args:
        runs: The runs.
        samples: Number of test images, drawn at random; None takes all.
        seed: Seed of this draw, and of the noise.

    Raises:
        UserError: If the runs have different test sets.
    """
    x, y = test_images(runs[0])
    for run in runs[1:]:
        other, labels = test_images(run)
        if x.shape != other.shape or not (torch.equal(x, other) and torch.equal(y, labels)):
            raise UserError(
                f"{runs[0].name} and {run.name} have different test sets:\n"
                f"{runs[0].data.source}, {len(x):,}, and {run.data.source}, {len(other):,}.\n"
                "Compare runs on the same data."
            )
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(x), generator=generator)[:samples].sort().values
    data = runs[0].data
    pixels = torch.randint(256, (NOISE, *x.shape[1:]), dtype=torch.uint8, generator=generator)
    strange = {"pixel noise": pixels}
    written = isinstance(data, MNIST) and data.digits
    skipped = [] if written else ["Pens and letters: they are for MNIST's digits only."]
    strange |= {"letters": printed_letters()} if written else {}
    names = [name for name, one in CORRUPTIONS.items() if written or not one.strokes]
    return Material(x[chosen], y[chosen], strange | others(data), names, skipped, data)


def test_images(run: Trained) -> Images:
    """Read the data of a run, and return its test images, without padding, and their classes."""
    state = run.data.state_dict()
    run.data.prepare_data()
    run.data.setup("fit")
    run.data.load_state_dict(state)  # the normalisation of the training
    split, pad = run.data.splits["test"], run.data.pad
    rows, columns = split.x.shape[2:]
    return split.x[split.indices, :, pad : rows - pad, pad : columns - pad], split.y[split.indices]


def others(data: ImageData) -> dict[str, Tensor]:
    """Return test images of the other data sets in MNIST's format whose files are there."""
    if not isinstance(data, MNIST):
        return {}
    found = {}
    for name, shows in FAMILY.items():
        files = sorted((data.root / name / "raw").glob("t10k-images-idx3-ubyte*"))
        own = name == data.name or (name == "MNIST" and data.digits)
        if files and not own:
            found[shows] = read_idx(files[0], 3, None).unsqueeze(1)
    return found
