"""Digits are found in photographs of every kind, and two digits or none are told."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from src.cli import main
from src.data import MNIST
from src.data.digit_frame import digit_frame
from src.data.digit_strokes import NotOneDigit
from src.data.digits import load_digits
from src.data.mnist import TRUSTED
from src.data.pixels import decoded
from src.models import LeNet
from src.runs.checkpoint_io import read_checkpoint
from src.runs.find import best_checkpoint
from tests.conftest import PROJECT, REAL_DATA
from tests.inference.photos import KINDS, photo

FEW, MANY = 3, 60  # photographs of each kind
FIRST_SEED, BEYOND = 5000, 0.15  # not those that the code was written with; see `photo`


def read(content: bytes) -> tuple[int, NDArray[np.uint8]]:
    """Return how many digits are found in a photograph, and the frame if it is one."""
    try:
        frame = digit_frame(decoded(content))
    except NotOneDigit as error:
        return int(str(error).split()[0]), np.zeros((28, 28), dtype=np.uint8)
    return int(frame.any()), frame


def test_most_photographs_of_every_kind_are_read() -> None:
    """The nearest of the small digits of scikit-learn has the same class, mostly."""
    (x, y), _ = load_digits()
    images, labels = x[:, 0].numpy(), y.numpy()
    nearest = KNeighborsClassifier(3).fit(images.reshape(len(images), -1), labels)
    total = 0
    for kind in KINDS:
        right = 0
        for seed in range(FEW):
            content, digits = photo(kind, seed, images, labels)
            count, frame = read(content)
            same = count != 1 or [nearest.predict(frame.reshape(1, -1))[0]] == digits
            right += count == len(digits) and same
        assert right >= FEW - 1, kind
        total += right
    assert total >= 0.85 * FEW * len(KINDS)


@pytest.mark.slow
@pytest.mark.real_data
def test_photographs_are_read_by_lenet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At least 90 % of each kind are right; at most 2 % of those not flagged are wrong."""
    monkeypatch.setenv("DATA_DIR", REAL_DATA)
    words = [str(PROJECT / f"configs/{name}.yaml") for name in ("mnist_lenet", "with/fast")]
    main(
        ["fit", *(word for name in words for word in ("--config", name)), "--trainer.max_epochs=3"]
    )
    checkpoint = read_checkpoint(best_checkpoint(Path("lightning_logs/mnist_lenet/version_0")))
    model = LeNet(input_shape=[1, 32, 32], num_outputs=10).eval()
    model.load_state_dict(checkpoint["state_dict"])
    mean, std = (checkpoint["MNIST"][name] for name in ("mean", "std"))
    _, (x, y) = MNIST().load()
    results: dict[str, list[tuple[bool, bool, bool]]] = {}
    for kind in KINDS:
        for beyond in (0, BEYOND):
            taken = [
                photo(kind, FIRST_SEED + i, x[:, 0].numpy(), y.numpy(), beyond) for i in range(MANY)
            ]
            found = [read(content) for content, _ in taken]
            frames = torch.from_numpy(np.stack([frame for _, frame in found]))[:, None].float()
            with torch.inference_mode():
                padded = torch.nn.functional.pad(frames, [2] * 4)
                likely = model((padded - mean) / std).softmax(dim=1).numpy()
            rows = results.setdefault(kind, [])
            for (count, _), (_, digits), p in zip(found, taken, likely, strict=True):
                right = count == len(digits) and (count != 1 or digits == [p.argmax()])
                rows.append((right, count == 1 and p.max() < TRUSTED, count == 1))
    with capsys.disabled():
        print(f"\n{table(results)}")
    for kind, rows in results.items():
        assert np.mean([right for right, _, _ in rows]) >= 0.9, kind
    trusted = [right for rows in results.values() for right, flagged, one in rows if one > flagged]
    assert np.mean(trusted) >= 0.98


def table(results: dict[str, list[tuple[bool, bool, bool]]]) -> str:
    """Return the results by kind as a Markdown table."""
    lines = ["| kind | n | right | flagged | wrong of those not flagged |", "|---|---|---|---|---|"]
    for kind, rows in [*results.items(), ("all", [*chain(*results.values())])]:
        right, flagged, one = np.array(rows).T
        trusted = one & ~flagged
        wrong = f"{100 * (1 - right[trusted].mean()):.1f} %" if trusted.any() else "none is left"
        shares = f"{100 * right.mean():.1f} % | {100 * flagged.mean():.1f} %"
        lines.append(f"| {kind} | {len(rows)} | {shares} | {wrong} |")
    return "\n".join(lines)
