"""Read 500 damaged IDX files; `./scripts/run faults` reads ten thousand."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor
from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

import scripts.faults.data as faults_data
from src.data.idx import read_idx


def test_damaged_files_give_their_array_or_an_error() -> None:
    fuzz = faults_data.fuzz_idx(500)
    assert fuzz.faults == []
    assert fuzz.tries == fuzz.handled == 500
    assert 0 < fuzz.readable < 250
    assert fuzz.worst < 1


def unverified(path: Path, dimensions: int, md5: str | None) -> Tensor:
    return read_idx(path, dimensions)


def another(path: Path, dimensions: int, md5: str | None) -> Tensor:
    return read_idx(path, dimensions, md5) + 1


def torchvision(path: Path, dimensions: int, md5: str | None) -> Tensor:
    return read_sn3_pascalvincent_tensor(str(path))


@pytest.mark.parametrize(
    ("reader", "fault"),
    [
        (unverified, "though it is damaged"),
        (another, "as another array"),
        (torchvision, "ended in ValueError"),
    ],
)
def test_a_faulty_reader_is_detected(
    monkeypatch: pytest.MonkeyPatch, reader: Callable[..., Tensor], fault: str
) -> None:
    monkeypatch.setattr(faults_data, "read_idx", reader)
    fuzz = faults_data.fuzz_idx(100)
    assert fuzz.handled == 100 - len(fuzz.faults)
    assert any(fault in found for found in fuzz.faults)
