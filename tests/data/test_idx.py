"""The IDX reader gives the arrays of numpy and torchvision, and refuses damaged files."""

import gzip
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets
from torchvision.datasets import mnist

from src.data.idx import read_idx
from src.errors import UserError
from tests.conftest import MNIST_FILES, REAL_DATA, memory_at_most, write_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)
ROWS = np.array([[7, -1, 2**31 - 1], [0, 300, -(2**31)]], dtype=np.int32)  # as QMNIST's labels


def written(folder: Path, array: np.ndarray, packed: bool) -> Path:
    path = folder / "array-idx"
    write_idx(path, array)
    if packed:
        path = folder / "array-idx.gz"
        path.write_bytes(gzip.compress((folder / "array-idx").read_bytes()))
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("array", [IMAGES, LABELS, ROWS], ids=["images", "labels", "int32 rows"])
def test_the_array_equals_the_written_one(tmp_path: Path, array: np.ndarray, packed: bool) -> None:
    tensor = read_idx(written(tmp_path, array, packed), array.ndim)
    assert tensor.dtype == torch.from_numpy(array).dtype
    np.testing.assert_array_equal(tensor.numpy(), array)


def test_images_equal_those_of_torchvision(tmp_path: Path) -> None:
    path = written(tmp_path, IMAGES, packed=False)
    assert torch.equal(read_idx(path, 3), mnist.read_image_file(str(path)))


def test_labels_equal_those_of_torchvision(tmp_path: Path) -> None:
    path = written(tmp_path, LABELS, packed=False)
    assert torch.equal(read_idx(path, 1).long(), mnist.read_label_file(str(path)))


def test_int32_labels_equal_those_of_torchvision(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS, packed=False)
    assert torch.equal(read_idx(path, 2), mnist.read_sn3_pascalvincent_tensor(str(path)))


def test_the_tensor_can_be_written_to(tmp_path: Path) -> None:
    tensor = read_idx(written(tmp_path, IMAGES, packed=False), 3)
    tensor += 1
    np.testing.assert_array_equal(tensor.numpy(), IMAGES + 1)


def test_a_file_of_no_images_is_an_empty_array(tmp_path: Path) -> None:
    assert read_idx(written(tmp_path, IMAGES[:0], packed=False), 3).shape == (0, 28, 28)


def refused(path: Path, content: bytes, *expected: str) -> None:
    """Check that reading this content fails, with the file name and `expected` in the error."""
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_idx(path, dimensions=3)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    for words in (str(path), *expected):
        assert words in message


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return written(tmp_path, IMAGES, packed=False).read_bytes()


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "images", b"", "nothing", "expected 00000803")


@pytest.mark.parametrize(
    "magic", ["ff000803", "00010803", "00000903", "00000d03", "00000800", "00000809"]
)
def test_a_wrong_magic_number_is_refused(tmp_path: Path, content: bytes, magic: str) -> None:
    refused(tmp_path / "images", bytes.fromhex(magic) + content[4:], magic, "expected 00000803")


def test_labels_in_place_of_images_are_refused(tmp_path: Path) -> None:
    labels = written(tmp_path, LABELS, packed=False).read_bytes()
    refused(tmp_path / "images", labels, "00000801", "expected 00000803")


@pytest.mark.parametrize("length", range(16))
def test_a_cut_header_is_refused(tmp_path: Path, content: bytes, length: int) -> None:
    refused(tmp_path / "images", content[:length], "expected")


@pytest.mark.parametrize("length", [16, 17, 500, 3935])
def test_a_cut_body_is_refused(tmp_path: Path, content: bytes, length: int) -> None:
    refused(
        tmp_path / "images", content[:length], f"{length} bytes", "expected 3936", "[5, 28, 28]"
    )


@pytest.mark.parametrize("shape", [(4, 28, 28), (6, 28, 28), (5, 28, 27), (5, 29, 28)])
def test_sizes_that_do_not_match_the_body_are_refused(
    tmp_path: Path, content: bytes, shape: tuple[int, ...]
) -> None:
    refused(tmp_path / "images", header(*shape) + content[16:], "3936 bytes", str([*shape]))


def test_trailing_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    refused(tmp_path / "images", content + b"\0", "3937 bytes", "expected 3936")


def test_a_header_that_claims_more_than_memory_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(
        tmp_path / "images", content[:4] + b"\xff" * 12 + content[16:], "3936 bytes", "expected"
    )


def test_a_web_page_is_refused(tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    refused(tmp_path / "images", page, "3c21444f", "expected 00000803")
    refused(tmp_path / "images.gz", page, "cannot be read", "gzip")


@pytest.mark.parametrize("cut", [1, 5, 9, 11, 100, -9, -1])
def test_a_cut_gz_file_is_refused(tmp_path: Path, content: bytes, cut: int) -> None:
    refused(tmp_path / "images.gz", gzip.compress(content)[:cut], "cannot be read")


def test_an_empty_gz_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "images.gz", b"", "nothing", "expected 00000803")


@pytest.mark.parametrize("place", [12, 100, -8, -1], ids=["deflate", "body", "crc", "length"])
def test_a_gz_file_with_a_wrong_byte_is_refused(tmp_path: Path, content: bytes, place: int) -> None:
    packed = bytearray(gzip.compress(content))
    packed[place] ^= 0xFF
    refused(tmp_path / "images.gz", bytes(packed), "cannot be read")


def test_a_plain_file_named_gz_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(tmp_path / "images.gz", content, "cannot be read", "gzip")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.*cannot be read"):
        read_idx(tmp_path / "absent", dimensions=3)


def test_a_path_that_is_not_a_file_is_refused_and_never_opened(
    tmp_path: Path, make_non_file: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "images"
    make_non_file(path)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(UserError, match=r"images is .*, expected a file"):
        read_idx(path, dimensions=3)


def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    path.chmod(0)
    user = os.geteuid()
    try:
        os.seteuid(user or 65534)  # root may read anything
        with pytest.raises(UserError, match=rf"{path} is .*[Pp]ermission denied"):
            read_idx(path, dimensions=3)
    finally:
        os.seteuid(user)


def header(*shape: int) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


@pytest.mark.parametrize("shape", [(5, 28, 28), (2**16, 32, 32), (2**32 - 1,) * 3])
def test_a_gz_file_that_unpacks_to_far_more_than_its_size_is_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    bomb = gzip.compress(header(*shape) + bytes(2**26))  # 65 kB
    with memory_at_most(4):  # 67 MB unpacked
        refused(
            tmp_path / "images.gz", bomb, "it has" if shape[0] == 5 else "claims", str([*shape])
        )


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_no_memory_is_allocated_for_the_size_in_a_header(tmp_path: Path, packed: bool) -> None:
    content = header(20_000, 32, 32) + np.random.default_rng(0).bytes(300_000)
    path = tmp_path / ("images.gz" if packed else "images")
    with memory_at_most(4):  # it claims 20 MB, not too much for 300 kB packed
        refused(
            path,
            gzip.compress(content) if packed else content,
            "it has 300016 bytes, expected 20480016 for [20000, 32, 32]",
        )


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 0, 2**32 - 1)])
def test_sizes_that_are_too_large_for_an_array_are_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    refused(tmp_path / "images", header(*shape), str([*shape]))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_reading_takes_little_more_memory_than_the_array(tmp_path: Path, packed: bool) -> None:
    array = np.random.default_rng(0).integers(0, 256, (20_000, 28, 28), dtype=np.uint8)
    path = written(tmp_path, array, packed)
    with memory_at_most((1.25 if packed else 1.01) * array.nbytes / 1e6):
        read_idx(path, dimensions=3)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_the_published_md5_sum_is_verified(tmp_path: Path, packed: bool) -> None:
    path = written(tmp_path, IMAGES, packed)
    content = path.read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    np.testing.assert_array_equal(read_idx(path, 3, md5).numpy(), IMAGES)
    other = "0" * 32
    with pytest.raises(UserError) as caught:
        read_idx(path, 3, other)
    for words in (str(path), md5, other, "--data.verify false"):
        assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.real_data
@pytest.mark.parametrize("train", [True, False])
def test_real_files_are_read_as_torchvision_reads_them(train: bool) -> None:
    theirs = datasets.MNIST(REAL_DATA, train=train)
    images, labels = MNIST_FILES[:2] if train else MNIST_FILES[2:]
    folder = Path(REAL_DATA, "MNIST", "raw")
    assert torch.equal(read_idx(folder / images, 3), theirs.data)
    assert torch.equal(read_idx(folder / labels, 1).long(), theirs.targets)
