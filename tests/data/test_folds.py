"""Parts for cross-validation equal scikit-learn's; groups are never divided; each fold is a run."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from src.data import CIFAR10, MNIST, ImageFolder, shared
from src.data.folds import parts
from src.data.images import ImageData
from src.errors import UserError
from tests.conftest import write_folder

NAMES = ["cat", "dog", "owl"]
Y = torch.from_numpy(np.random.default_rng(0).choice(3, 100, p=[0.6, 0.3, 0.1]))
WRITERS = [f"w{i}" for i in np.random.default_rng(1).integers(0, 12, 100)]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_the_parts_are_those_of_scikit_learn(seed: int) -> None:
    plain = StratifiedKFold(4, shuffle=True, random_state=seed).split(Y, Y)
    grouped = StratifiedGroupKFold(4, shuffle=True, random_state=seed).split(Y, Y, WRITERS)
    for groups, split in ((None, plain), (WRITERS, grouped)):
        found = parts(Y, 4, seed, NAMES, groups)
        for part, (_, wanted) in zip(found, split, strict=True):
            np.testing.assert_array_equal(part, wanted)


@pytest.mark.parametrize("groups", [None, WRITERS])
def test_each_sample_is_in_one_part_and_each_class_in_every_part(groups: list[str] | None) -> None:
    found = parts(Y, 5, 0, NAMES, groups)
    assert sorted(torch.cat(found).tolist()) == list(range(100))
    for part in found:
        share = Y[part].bincount(minlength=3)
        if groups is None:
            assert (share - Y.bincount() / 5).abs().max() < 1
        assert len(part) > 5


def test_no_group_is_in_two_parts() -> None:
    owners: dict[str, set[int]] = {}
    for number, part in enumerate(parts(Y, 5, 0, NAMES, WRITERS)):
        for i in part.tolist():
            owners.setdefault(WRITERS[i], set()).add(number)
    assert len(owners) == len({*WRITERS})
    assert all(len(numbers) == 1 for numbers in owners.values())


@pytest.mark.parametrize(
    ("folds", "groups", "text"),
    [
        (17, None, "--data.folds 17 is too large: class owl has 16 training samples"),
        (101, None, "--data.folds 101 is too large"),
        (5, ["a", "b"] * 50, "--data.folds 5 is too large: --data.groups finds 2 groups"),
        (5, ["a"] * 51 + [f"g{i}" for i in range(49)], "group a has 51 of 100 training samples"),
        (2, ["a" if y == 2 else f"g{i % 9}" for i, y in enumerate(Y)], "samples of class owl"),
    ],
)
def test_too_few_samples_or_groups_are_refused(
    folds: int, groups: list[str] | None, text: str
) -> None:
    with pytest.raises(UserError, match=text) as refused:
        parts(Y, folds, 0, NAMES, groups)
    assert len(str(refused.value).splitlines()) <= 3


def ready(kind: Callable[..., ImageData], **settings: Any) -> ImageData:
    data = kind(**settings)
    data.setup("fit")
    return data


def test_a_fold_is_held_out_and_the_others_are_trained_on(data_root: Path) -> None:
    held_out = []
    for fold in range(3):
        splits = ready(MNIST, root=str(data_root), folds=3, fold=fold, split_seed=7).splits
        val, train = splits["val"].indices, splits["train"].indices
        assert sorted([*val.tolist(), *train.tolist()]) == list(range(300))
        assert not torch.equal(train, train.sort().values)  # else train_size takes one class first
        assert (splits["val"].y[val].bincount() == 10).all()
        held_out.append(val)
    wanted = StratifiedKFold(3, shuffle=True, random_state=7).split(*[splits["val"].y.numpy()] * 2)
    for found, (_, part) in zip(held_out, wanted, strict=True):
        np.testing.assert_array_equal(found, part)


def test_a_fold_is_normalised_by_its_own_training_images(data_root: Path) -> None:
    for fold in range(2):
        data = ready(MNIST, root=str(data_root), folds=2, fold=fold, train_size=40)
        split = data.splits["train"]
        assert len(split.indices) == 40
        pixels = split.x[split.indices].numpy().astype(np.float64)
        assert data.mean.item() == pytest.approx(pixels.mean())
        assert data.std.item() == pytest.approx(pixels.std())


def test_folds_of_the_small_digits(tmp_path: Path) -> None:
    sizes = ready(MNIST, source="digits", folds=5, fold=4).describe()["sizes"]
    assert sizes == {"train": 1232, "val": 308, "test": 257}


def test_a_validation_folder_is_divided_with_the_training_images(tmp_path: Path) -> None:
    write_folder(tmp_path, {"cat": 0, "dog": 5}, train=8, test=2)
    (tmp_path / "val").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / f"val/{name}").mkdir()
        for file in sorted((tmp_path / f"train/{name}").iterdir())[:3]:
            file.rename(tmp_path / f"val/{name}/{file.name}")
    data = ready(ImageFolder, path=str(tmp_path), folds=4, fold=0)
    assert data.describe()["sizes"] == {"train": 12, "val": 4, "test": 4}
    assert ["/".join(parts) for parts in data.training_files or []][8:13] == [
        "train/dog/006.png", "train/dog/007.png", "val/cat/000.png", "val/cat/001.png",
        "val/cat/002.png",
    ]  # fmt: skip


def write_writers(root: Path) -> Path:
    """Write images whose class folders have a folder for each of four writers."""
    write_folder(root, {"cat": 0, "dog": 5}, train=8, test=2)
    for name in ("cat", "dog"):
        for i, file in enumerate(sorted((root / f"train/{name}").iterdir())):
            folder = root / f"train/{name}/writer{i % 4}"
            folder.mkdir(exist_ok=True)
            file.rename(folder / file.name)
    return root


def test_a_writer_is_never_on_both_sides(tmp_path: Path) -> None:
    data = ready(ImageFolder, path=str(write_writers(tmp_path)), folds=4, fold=1, groups="folder")
    writers = [parts[2] for parts in data.training_files or []]
    sides = [{writers[i] for i in data.splits[name].indices.tolist()} for name in ("train", "val")]
    assert [len(side) for side in sides] == [3, 1]
    assert not sides[0] & sides[1]
    assert Counter(writers) == {f"writer{i}": 4 for i in range(4)}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"fold": 1}, "--data.fold 1 needs the number of parts: give --data.folds"),
        ({"groups": "folder"}, "--data.groups folder needs the number of parts"),
        ({"folds": 5}, "--data.fold 0 to 4, got None"),
        ({"folds": 5, "fold": 5}, "--data.fold 0 to 4, got 5"),
        ({"folds": 5, "fold": 0, "groups": "folder"}, "have no files with names"),
    ],
)
def test_a_fold_that_makes_no_sense_is_refused(
    settings: dict[str, Any], text: str, data_root: Path
) -> None:
    with pytest.raises(UserError, match=text) as refused:
        ready(MNIST, root=str(data_root), **settings)
    assert len(str(refused.value).splitlines()) <= 3


def test_files_are_read_once_for_all_folds(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_read", "_files"):
        monkeypatch.setattr(shared, name, {})
    alone = [ready(MNIST, root=str(data_root), folds=3, fold=fold) for fold in range(3)]
    monkeypatch.setattr(shared, "_shares", True)
    reads, read = [], MNIST.load
    monkeypatch.setattr(MNIST, "load", lambda self: reads.append(self) or read(self))
    for fold, one in enumerate(alone):
        together = ready(MNIST, root=str(data_root), folds=3, fold=fold)
        assert (together.digest, together.source) == (one.digest, one.source)
        assert torch.equal(together.mean, one.mean)
    assert len(reads) == 1


def test_every_image_data_set_has_folds() -> None:
    assert all(issubclass(kind, ImageData) for kind in (CIFAR10, MNIST, ImageFolder))
