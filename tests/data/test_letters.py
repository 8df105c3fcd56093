"""Printed letters are in MNIST's frame."""

from pathlib import Path

import matplotlib
import pytest
import torch
from scipy import ndimage

from src.data import letters


def test_letters_are_framed_as_in_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "LETTERS", "AhX")
    monkeypatch.setattr(letters, "FACES", ("DejaVuSans", "DejaVuSerif"))
    x = letters.printed_letters()
    assert x.shape == (6, 1, 28, 28)
    assert x.dtype == torch.uint8
    for image in x[:, 0].numpy():
        rows, columns = image.any(axis=1).nonzero()[0], image.any(axis=0).nonzero()[0]
        assert max(rows.max() - rows.min(), columns.max() - columns.min()) + 1 in (19, 20)
        assert ndimage.center_of_mass(image) == pytest.approx((14, 14), abs=0.51)


def test_every_face_is_there_and_no_letter_is_there_twice() -> None:
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    assert all((fonts / f"{face}.ttf").is_file() for face in letters.FACES)
    assert len({*letters.FACES}) == 12
    assert len({*letters.LETTERS}) == len(letters.LETTERS)
    assert not {*letters.LETTERS} & {*"OoDQIiljZzSsBbgqG"}  # these look like digits
