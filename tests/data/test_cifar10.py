"""CIFAR-10 from official batches, from a zip file of JPEG images, and without files."""

import hashlib
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from src.data.cifar10 import CIFAR10
from src.errors import UserError

BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
Flat = dict[str, tuple[np.ndarray, list[int]]]  # file -> rows of 3072 bytes, labels


def flat_images() -> Flat:
    """Return images of two colours each and their labels, four in each training batch."""
    generator = np.random.default_rng(0)
    batches = {}
    for i, name in enumerate(BATCHES):
        labels = [2 * i % 10, 2 * i % 10, (2 * i + 1) % 10, (2 * i + 1) % 10]
        if name == "test_batch":
            labels = list(range(10))
        colours = generator.integers(0, 256, (len(labels), 3, 1, 2), dtype=np.uint8)
        batches[name] = (colours.repeat(16, axis=3).repeat(32, axis=2).reshape(-1, 3072), labels)
    return batches


def official(root: Path, monkeypatch: pytest.MonkeyPatch) -> Flat:
    """Write the official batches as Python 2 did, and make torchvision expect their md5 sums."""
    batches = flat_images()
    contents: dict[str, dict[str, Any]] = {
        name: {"data": data, "labels": labels} for name, (data, labels) in batches.items()
    }
    contents["batches.meta"] = {"label_names": CIFAR10.class_names}
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    md5 = {}
    for name, content in contents.items():
        packed = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(packed)
        md5[name] = hashlib.md5(packed).hexdigest()
    listed = [[name, md5[name]] for name in BATCHES]
    meta = {**datasets.CIFAR10.meta, "md5": md5["batches.meta"]}
    monkeypatch.setattr(datasets.CIFAR10, "train_list", listed[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", listed[5:])
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return batches


def jpeg(root: Path, batches: Flat) -> None:
    """Write the same images as JPEG into a zip file."""
    with zipfile.ZipFile(root / "cifar10-jpeg.zip", "w") as archive:
        for batch, (data, labels) in batches.items():
            split = "test" if batch == "test_batch" else "train"
            for i, (row, label) in enumerate(zip(data, labels, strict=True)):
                image = Image.fromarray(row.reshape(3, 32, 32).transpose(1, 2, 0))
                name = f"{split}/{CIFAR10.class_names[label]}/{batch}_{i}.jpg"
                with archive.open(name, "w") as file:
                    image.save(file, "JPEG", quality=95, subsampling=0)


def ready(root: Path) -> CIFAR10:
    data = CIFAR10(root=str(root), val_size=5)
    data.prepare_data()
    data.setup("fit")
    return data


def test_official_batches_give_their_images_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = official(tmp_path, monkeypatch)
    data = ready(tmp_path)
    for split, names in (("train", BATCHES[:5]), ("test", BATCHES[5:])):
        rows = np.concatenate([batches[name][0] for name in names])
        labels = [label for name in names for label in batches[name][1]]
        x = data.splits[split].x
        np.testing.assert_array_equal(x.numpy(), rows.reshape(-1, 3, 32, 32))
        assert x.is_contiguous()
        assert data.splits[split].y.tolist() == labels
        assert data.splits[split].y.dtype == torch.int64
    assert data.source == f"official batches in {tmp_path / 'cifar-10-batches-py'}"


def test_jpeg_images_are_nearly_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = official(tmp_path / "official", monkeypatch)
    jpeg(tmp_path, batches)
    exact, recompressed = ready(tmp_path / "official"), ready(tmp_path)
    for split in ("train", "test"):
        one, two = exact.splits[split], recompressed.splits[split]
        assert one.x.shape == two.x.shape
        assert one.x.dtype == two.x.dtype
        assert torch.equal(one.y, two.y)
        assert (one.x.int() - two.x.int()).abs().max() <= 4
    assert recompressed.source == f"JPEG images in {tmp_path / 'cifar10-jpeg.zip'}, recompressed"


def test_official_batches_are_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg(tmp_path, official(tmp_path, monkeypatch))
    assert ready(tmp_path).source.startswith("official")


def test_shapes_and_classes_are_known_before_reading(tmp_path: Path) -> None:
    data = CIFAR10(root=str(tmp_path), pad=4)
    assert data.input_shape == [3, 40, 40]
    assert data.num_classes == data.num_outputs == len(data.class_names) == 10
    assert data.class_names == sorted(data.class_names)  # the official order is alphabetical


def pack(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = root / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(root / "cifar-10-batches-py", "cifar-10-batches-py")
    shutil.rmtree(root / "cifar-10-batches-py")
    return publish(path, monkeypatch)


def publish(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the published md5 sum by that of a file."""
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    return path


def test_the_packed_batches_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    official(tmp_path, monkeypatch)
    pack(tmp_path, monkeypatch)
    assert ready(tmp_path).describe()["sizes"] == {"train": 15, "val": 5, "test": 10}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
    ]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def page(content: bytes) -> bytes:
    return b"<html>404</html>"


@pytest.mark.parametrize("damage", [cut, page])
def test_damaged_packed_batches_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    official(tmp_path, monkeypatch)
    path = pack(tmp_path, monkeypatch)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=rf"{path} is not the published file") as caught:
        ready(tmp_path)
    assert datasets.CIFAR10.tgz_md5 in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]  # it was not unpacked


class Payload:
    """An object that makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("it-ran",)


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_pickle_that_runs_code_is_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    official(tmp_path, monkeypatch)
    path = tmp_path / "cifar-10-batches-py" / name
    path.write_bytes(pickle.dumps(Payload(), protocol=2))
    with pytest.raises(UserError, match=rf"{path} is not the published file"):
        ready(tmp_path)
    assert not Path("it-ran").exists()
    pickle.loads(path.read_bytes())
    assert Path("it-ran").exists()


def tar_member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        tar_member("../outside", tarfile.REGTYPE),
        tar_member("cifar-10-batches-py/../../outside", tarfile.REGTYPE),
        tar_member("cifar-10-batches-py/link", tarfile.SYMTYPE, "../../../outside"),
        tar_member("cifar-10-batches-py/link", tarfile.SYMTYPE, "/etc/passwd"),
        tar_member("cifar-10-batches-py/link", tarfile.LNKTYPE, "/etc/passwd"),
        tar_member("cifar-10-batches-py/device", tarfile.CHRTYPE),
        tar_member("cifar-10-batches-py/pipe", tarfile.FIFOTYPE),
    ],
    ids=["above", "above by a detour", "link above", "link", "hard link", "device", "pipe"],
)
def test_an_archive_cannot_write_outside_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: tarfile.TarInfo
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    path = root / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tar_member("cifar-10-batches-py", tarfile.DIRTYPE))
        archive.addfile(member)
    publish(path, monkeypatch)
    with pytest.raises(UserError, match="cannot be unpacked") as caught:
        ready(root)
    assert len(str(caught.value).splitlines()) <= 3
    assert list(tmp_path.iterdir()) == [root]
    assert list(root.iterdir()) == [path]


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar10-jpeg.zip"])
def test_a_path_that_is_not_a_file_is_refused(
    tmp_path: Path, make_non_file: Callable[[Path], None], name: str
) -> None:
    make_non_file(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name} is .*, expected a file"):
        ready(tmp_path)


def test_a_batch_that_is_not_a_file_is_refused(
    tmp_path: Path, make_non_file: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    official(tmp_path, monkeypatch)
    path = tmp_path / "cifar-10-batches-py/data_batch_2"
    path.unlink()
    make_non_file(path)
    with pytest.raises(UserError, match=r"data_batch_2 is .*, expected a file"):
        ready(tmp_path)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("damage", [cut, page])
def test_a_damaged_official_batch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: Callable[[bytes], bytes]
) -> None:
    official(tmp_path, monkeypatch)
    path = tmp_path / "cifar-10-batches-py" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=rf"{path} is not the published file") as caught:
        ready(tmp_path)
    assert hashlib.md5(path.read_bytes()).hexdigest() in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_missing_official_batch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py/data_batch_5").unlink()
    with pytest.raises(UserError, match=r"cifar-10-batches-py/data_batch_5 is missing"):
        ready(tmp_path)


def test_a_zip_file_without_one_of_the_classes_is_refused(tmp_path: Path) -> None:
    jpeg(tmp_path, flat_images())
    with zipfile.ZipFile(tmp_path / "cifar10-jpeg.zip") as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if "airplane" not in name}
    with zipfile.ZipFile(tmp_path / "cifar10-jpeg.zip", "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="airplane"):  # otherwise each label would be one too small
        ready(tmp_path)


def test_without_files_and_network_the_error_names_files_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        ready(tmp_path)
    message = str(caught.value)
    for words in (
        str(tmp_path),
        "cifar-10-python.tar.gz",
        "cifar10-jpeg.zip",
        "--data.root",
        "DATA_DIR",
        datasets.CIFAR10.url,
    ):
        assert words in message
    assert len(message.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []
