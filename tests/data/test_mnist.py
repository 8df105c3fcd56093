"""The MNIST family: splits, checks of the files, and the fallback without them."""

import gzip
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from src.data import mnist
from src.data.digits import load_digits
from src.data.mnist import MNIST
from src.errors import UserError
from tests.conftest import MNIST_FILES, REAL_DATA, toy_images, write_idx

NAMES = ["MNIST", "FashionMNIST", "KMNIST", "QMNIST"]
DIGITS = list("0123456789")
CLASSES = {
    "MNIST": DIGITS,
    "QMNIST": DIGITS,
    "KMNIST": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    "FashionMNIST": ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                     "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
}  # fmt: skip


def ready(root: Path, **kwargs: Any) -> MNIST:
    data = MNIST(root=str(root), **{"val_size": 50, **kwargs})
    data.setup("fit")
    return data


def split(data: MNIST, name: str) -> list[int]:
    return data.splits[name].indices.tolist()


@pytest.fixture
def files(data_root: Path, tmp_path: Path) -> Path:
    """Return a folder with a copy of the MNIST files that a test may damage."""
    shutil.copytree(data_root / "MNIST", tmp_path / "MNIST")
    return tmp_path


def test_the_splits_have_the_requested_sizes(data_root: Path) -> None:
    data = ready(data_root)
    assert [len(split(data, name)) for name in ("train", "val", "test")] == [250, 50, 130]


def test_training_and_validation_share_no_image_and_leave_none_out(data_root: Path) -> None:
    data = ready(data_root)
    assert sorted(split(data, "train") + split(data, "val")) == list(range(300))


def test_the_split_does_not_depend_on_the_training_seed(data_root: Path) -> None:
    assert split(ready(data_root, seed=1), "val") == split(ready(data_root, seed=2), "val")


def test_the_split_depends_on_split_seed(data_root: Path) -> None:
    held_out = [split(ready(data_root, split_seed=seed), "val") for seed in range(3)]
    assert held_out[0] != held_out[1] != held_out[2] != held_out[0]


def test_train_size_selects_some_of_the_training_images(data_root: Path) -> None:
    some, every = ready(data_root, train_size=20), ready(data_root)
    assert len(split(some, "train")) == 20
    assert set(split(some, "train")) < set(split(every, "train"))
    assert split(some, "val") == split(every, "val")


def test_test_size_selects_the_first_test_images(data_root: Path) -> None:
    assert split(ready(data_root, test_size=20), "test") == list(range(20))


def test_test_images_come_in_the_order_of_the_file(data_root: Path) -> None:
    images, labels = toy_images(130, seed=2)
    batches = list(ready(data_root).test_dataloader())
    np.testing.assert_array_equal(torch.cat([x for x, _ in batches])[:, 0].numpy(), images)
    np.testing.assert_array_equal(torch.cat([y for _, y in batches]).numpy(), labels)


@pytest.mark.parametrize("name", ["train", "val"])
def test_images_keep_their_labels(data_root: Path, name: str) -> None:
    images, labels = toy_images(300, seed=1)
    part = ready(data_root).splits[name]
    chosen = part.indices.numpy()
    np.testing.assert_array_equal(part.x[part.indices, 0].numpy(), images[chosen])
    np.testing.assert_array_equal(part.y[part.indices].numpy(), labels[chosen])


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_of_the_family_is_read(data_root: Path, name: str) -> None:
    data = ready(data_root, name=name)
    x, y = next(iter(data.train_dataloader()))
    assert x.shape == (100, 1, 28, 28)
    assert y.dtype == torch.int64
    assert sorted(set(y.tolist())) == list(range(10))
    assert data.class_names == CLASSES[name]
    assert (data.input_shape, data.num_classes, data.num_outputs) == ([1, 28, 28], 10, 10)
    assert data.describe()["name"] == name
    assert data.describe()["source"] == f"official files in {data_root / name / 'raw'}"


@pytest.mark.parametrize("name", NAMES)
def test_images_and_labels_are_those_of_torchvision(data_root: Path, name: str) -> None:
    for train, (x, y) in zip((True, False), ready(data_root, name=name).load(), strict=True):
        theirs = getattr(datasets, name)(data_root, train=train)
        assert torch.equal(x[:, 0], theirs.data)
        assert torch.equal(y, theirs.targets.view(len(x), -1)[:, 0])  # of QMNIST only the class


def test_the_class_is_the_first_number_of_a_qmnist_label(data_root: Path, tmp_path: Path) -> None:
    shutil.copytree(data_root / "QMNIST", tmp_path / "QMNIST")
    rows = np.random.default_rng(0).integers(0, 4000, (300, 8), dtype=np.int32)
    rows[:, 0] = np.arange(300) % 10
    write_idx(tmp_path / "QMNIST/raw/qmnist-train-labels-idx2-int", rows)
    data = ready(tmp_path, name="QMNIST")
    np.testing.assert_array_equal(data.splits["train"].y.numpy(), rows[:, 0])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_downloaded_if_the_files_exist(data_root: Path, name: str) -> None:
    data = MNIST(root=str(data_root), name=name)
    data.prepare_data()
    assert data.failure == ""


def test_packed_files_give_the_same_images(data_root: Path, files: Path) -> None:
    for path in (files / "MNIST/raw").iterdir():
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed, plain = ready(files), ready(data_root)
    for name in ("train", "test"):
        assert torch.equal(packed.splits[name].x, plain.splits[name].x)
        assert torch.equal(packed.splits[name].y, plain.splits[name].y)


def test_the_files_are_found_in_data_dir(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(data_root))
    data = MNIST(val_size=50)
    data.setup("fit")
    assert data.source.startswith("official files")


def test_pad_2_gives_32_by_32_with_a_black_border(data_root: Path) -> None:
    padded, plain = ready(data_root, pad=2), ready(data_root)
    assert padded.input_shape == [1, 32, 32]
    for name in ("train", "val", "test"):
        x = padded.splits[name].x
        assert x.shape[1:] == (1, 32, 32)
        assert torch.equal(x[:, :, 2:-2, 2:-2], plain.splits[name].x)
        assert x.long().sum() == plain.splits[name].x.long().sum()


def test_pad_does_not_change_the_normalisation(data_root: Path) -> None:
    padded, plain = ready(data_root, pad=2), ready(data_root)
    assert torch.equal(padded.mean, plain.mean)
    assert torch.equal(padded.std, plain.std)


def refused(root: Path, *expected: str, **kwargs: Any) -> None:
    with pytest.raises(UserError) as caught:
        ready(root, **kwargs)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    for words in expected:
        assert words in message


@pytest.mark.parametrize("file", MNIST_FILES)
def test_a_cut_file_is_refused_by_name(files: Path, file: str) -> None:
    path = files / "MNIST/raw" / file
    path.write_bytes(path.read_bytes()[:-1])
    refused(files, str(path), "expected")


@pytest.mark.parametrize("file", [MNIST_FILES[1], MNIST_FILES[3]])
def test_a_wrong_number_of_labels_is_refused_by_name(files: Path, file: str) -> None:
    n = 300 if file.startswith("train") else 130
    write_idx(files / "MNIST/raw" / file, np.zeros(n - 1, dtype=np.uint8))
    refused(files, str(files / "MNIST/raw" / file), f"{n - 1} labels", f"expected {n}")


def test_a_label_out_of_range_is_refused_by_name(files: Path) -> None:
    labels = toy_images(300, seed=1)[1]
    labels[17] = 10
    write_idx(files / "MNIST/raw" / MNIST_FILES[1], labels)
    refused(files, str(files / "MNIST/raw" / MNIST_FILES[1]), "0 to 10", "from 0 to 9")


def test_images_of_a_wrong_size_are_refused_by_name(files: Path) -> None:
    write_idx(files / "MNIST/raw" / MNIST_FILES[0], np.zeros((300, 32, 28), dtype=np.uint8))
    refused(files, str(files / "MNIST/raw" / MNIST_FILES[0]), "(32, 28)", "(28, 28)")


@pytest.mark.parametrize("split", [MNIST_FILES[:2], MNIST_FILES[2:]], ids=["train", "test"])
def test_swapped_images_and_labels_are_refused(files: Path, split: tuple[str, str]) -> None:
    images, labels = (files / "MNIST/raw" / file for file in split)
    images.rename(files / "images")
    labels.rename(images)
    (files / "images").rename(labels)
    refused(files, str(images), "00000801", "00000803")


@pytest.mark.parametrize("file", [MNIST_FILES[0], f"{MNIST_FILES[3]}.gz"])
@pytest.mark.parametrize("source", ["auto", "mnist"])
def test_a_path_that_is_not_a_file_is_refused_and_not_replaced(
    files: Path,
    file: str,
    source: str,
    make_non_file: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mnist, "fetch", lambda *_: pytest.fail("it was downloaded"))
    path = files / "MNIST/raw" / file
    path.with_suffix("").unlink()
    make_non_file(path)
    data = MNIST(root=str(files), source=source)
    data.prepare_data()
    with pytest.raises(UserError, match=rf"{path} is .*, expected a file") as caught:
        data.setup("fit")
    assert len(str(caught.value).splitlines()) <= 3


def test_a_file_in_place_of_the_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MNIST").write_text("")
    data = MNIST(root=str(tmp_path))
    data.prepare_data()
    with pytest.raises(UserError, match="Not a directory"):
        data.setup("fit")


def test_nothing_is_written_to_the_data_folder(files: Path) -> None:
    def state() -> dict[Path, float]:
        return {path: path.stat().st_mtime_ns for path in [files, *files.rglob("*")]}

    folders = [files / "MNIST/raw", files / "MNIST", files]
    for folder in folders:
        folder.chmod(0o555)
    before = state()
    data = MNIST(root=str(files), val_size=50, source="mnist")
    data.prepare_data()
    data.setup("fit")
    assert state() == before
    for folder in reversed(folders):
        folder.chmod(0o755)


@pytest.mark.usefixtures("published_sums")
def test_other_files_are_read_only_without_verification(data_root: Path) -> None:
    content = (data_root / "MNIST/raw" / MNIST_FILES[0]).read_bytes()
    found, published = hashlib.md5(content).hexdigest(), "6bbc9ace898e44ae57da46a324031adb"
    refused(data_root, MNIST_FILES[0], found, published, "--data.verify false")
    ready(data_root, verify=False)


@pytest.mark.usefixtures("published_sums")
@pytest.mark.parametrize("name", NAMES)
def test_packed_files_are_verified(data_root: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "raw"
    folder.mkdir(parents=True)
    for path in (data_root / name / "raw").iterdir():
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    urls, md5 = MNIST(name=name)._resources()[0]
    refused(tmp_path, urls[0].split("/")[-1], md5, "--data.verify false", name=name)
    ready(tmp_path, name=name, verify=False)


@pytest.mark.usefixtures("published_sums")
@pytest.mark.parametrize("name", NAMES[1:])
def test_files_without_a_published_sum_are_read(data_root: Path, name: str) -> None:
    ready(data_root, name=name)


@pytest.mark.usefixtures("published_sums")
@pytest.mark.parametrize("file", range(4))
def test_each_of_the_four_files_is_verified(
    data_root: Path, files: Path, file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [files / "MNIST/raw" / name for name in MNIST_FILES]
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in paths}
    monkeypatch.setitem(mnist.UNPACKED, "MNIST", sums)
    ready(files)
    content = bytearray(paths[file].read_bytes())
    content[-1] ^= 1
    paths[file].write_bytes(content)
    refused(files, str(paths[file]), sums[paths[file].name])


@pytest.mark.parametrize(
    ("option", "most"), [("val_size", 299), ("train_size", 250), ("test_size", 130)]
)
def test_a_size_that_is_too_large_is_refused(data_root: Path, option: str, most: int) -> None:
    refused(data_root, f"--data.{option} {most + 1}", f"up to {most}", **{option: most + 1})
    ready(data_root, **{option: most})


def test_auto_falls_back_to_the_digits_with_a_warning(tmp_path: Path) -> None:
    data = MNIST(root=str(tmp_path))
    data.prepare_data()
    with pytest.warns(UserWarning, match="NOT MNIST") as warned:
        data.setup("fit")
    [warning] = [str(w.message) for w in warned]
    assert str(tmp_path / "MNIST/raw") in warning
    assert "--data.source mnist" in warning
    assert "NOT MNIST" in data.describe()["source"]
    n, tests = (len(y) for _, y in load_digits())
    assert data.describe()["sizes"] == {"train": n - 128, "val": 128, "test": tests}


def test_auto_falls_back_when_one_file_is_missing(files: Path) -> None:
    (files / "MNIST/raw" / MNIST_FILES[2]).unlink()
    data = MNIST(root=str(files))
    with pytest.warns(UserWarning, match="NOT MNIST"):
        data.setup("fit")


def test_without_files_source_mnist_names_folder_files_and_mirrors(tmp_path: Path) -> None:
    data = MNIST(root=str(tmp_path), source="mnist")
    data.prepare_data()
    with pytest.raises(UserError) as caught:
        data.setup("fit")
    message = str(caught.value)
    mirrors = [mirror.rstrip("/") for mirror in data.family.mirrors]
    for words in (str(tmp_path / "MNIST/raw"), *MNIST_FILES, *mirrors, "--data.root", "DATA_DIR"):
        assert words in message
    assert len(message.splitlines()) <= 3


def test_source_digits_is_used_without_a_warning(tmp_path: Path) -> None:
    data = MNIST(root=str(tmp_path), source="digits")
    data.prepare_data()
    data.setup("fit")
    (x, y), (test_x, test_y) = load_digits()
    assert torch.equal(data.splits["train"].x, x)
    assert torch.equal(data.splits["train"].y, y)
    assert torch.equal(data.splits["test"].x, test_x)
    assert torch.equal(data.splits["test"].y, test_y)


def test_source_digits_is_used_even_if_the_files_exist(data_root: Path) -> None:
    data = MNIST(root=str(data_root), source="digits")
    data.setup("fit")
    assert "NOT MNIST" in data.source


@pytest.mark.parametrize("val_size", [1, 10, 100, 20_000])
def test_digits_have_validation_images_for_every_val_size(val_size: int) -> None:
    data = MNIST(source="digits", val_size=val_size)
    data.setup("fit")
    n = len(data.splits["train"].x)
    assert len(split(data, "val")) == max(1, round(n * val_size / 60_000))


def test_digits_have_training_images_for_a_large_val_size() -> None:
    data = MNIST(source="digits", val_size=60_000)
    data.setup("fit")
    assert len(data.splits["train"].indices) == 1540 - round(0.9 * 1540)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("source", ["auto", "mnist"])
def test_digits_never_replace_another_data_set(tmp_path: Path, name: str, source: str) -> None:
    data = MNIST(root=str(tmp_path), name=name, source=source)
    data.prepare_data()
    with pytest.raises(UserError, match=f"{name} is not in .*{name}/raw"):
        data.setup("fit")


def test_source_digits_is_refused_for_another_data_set() -> None:
    with pytest.raises(UserError, match="replaces MNIST only, not KMNIST"):
        MNIST(name="KMNIST", source="digits")


def test_without_network_the_download_fails_quickly_and_leaves_nothing(tmp_path: Path) -> None:
    start = monotonic()
    MNIST(root=str(tmp_path)).prepare_data()
    assert monotonic() - start < 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.real_data
def test_the_real_files_have_their_published_sizes_and_labels() -> None:
    data = MNIST(root=REAL_DATA, source="mnist")
    data.setup("fit")
    for name, file, n in (("train", MNIST_FILES[1], 60_000), ("test", MNIST_FILES[3], 10_000)):
        raw = np.fromfile(Path(REAL_DATA, "MNIST/raw", file), dtype=np.uint8)[8:]
        part = data.splits[name]
        assert part.x.shape == (n, 1, 28, 28)
        np.testing.assert_array_equal(np.bincount(part.y.numpy()), np.bincount(raw))
    assert data.describe()["sizes"] == {"train": 55_000, "val": 5000, "test": 10_000}


@pytest.mark.real_data
def test_the_real_training_images_have_mean_0_and_deviation_1() -> None:
    data = MNIST(root=REAL_DATA, source="mnist", batch_size=5000)
    data.setup("fit")
    batches = [data.on_after_batch_transfer(batch, 0)[0] for batch in data.train_dataloader()]
    mean = np.mean([x.mean().item() for x in batches])
    square = np.mean([x.square().mean().item() for x in batches])
    assert len(batches) == 11
    assert mean == pytest.approx(0, abs=1e-5)
    assert square - mean**2 == pytest.approx(1, abs=1e-5)


@pytest.mark.real_data
@pytest.mark.parametrize("file", MNIST_FILES)
def test_a_real_file_with_a_changed_bit_is_refused(tmp_path: Path, file: str) -> None:
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for name in MNIST_FILES:
        (raw / name).symlink_to(Path(REAL_DATA, "MNIST/raw", name).resolve())
    content = bytearray((raw / file).read_bytes())
    content[len(content) // 2] ^= 1
    (raw / file).unlink()
    (raw / file).write_bytes(content)
    refused(tmp_path, str(raw / file), "md5")
