"""Shared fixtures: small generated data sets, no network, and an empty working folder per test."""

import json
import os
import shutil
import socket
import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
from lightning.pytorch import Trainer
from PIL import Image

from src.callbacks import Figures, ResumePoints
from src.cli import main
from src.command.experiment import ExperimentCLI
from src.data import MNIST
from src.local_file import VARIABLE

PROJECT = Path(__file__).resolve().parents[1]
REAL_DATA = os.environ.get("DATA_DIR", "")
MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
               "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs, also from processes that tests start, unless tests for a GPU are selected.

    The others compare with numbers of the CPU. The settings of this machine are left out, too.
    """
    os.environ[VARIABLE] = ""
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not Path(REAL_DATA, "MNIST", "raw", MNIST_FILES[0]).is_file():
        reason = "DATA_DIR does not contain MNIST/raw/" + MNIST_FILES[0]
        for item in items:
            if item.get_closest_marker("real_data"):
                item.add_marker(pytest.mark.skip(reason=reason))
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device and -m gpu"))


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in an empty folder, without DATA_DIR, without arguments and without network."""
    environment = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["linenet"])
    connect = socket.create_connection

    def local_only(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        if address[0] not in ("localhost", "127.0.0.1"):
            raise OSError(f"a test tried to reach {address[0]}")
        return connect(address, *args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", local_only)
    yield
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(autouse=True)
def _no_md5_sums(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip MNIST's md5 check, which toy files would fail, except in tests of the check itself."""
    if not {"published_sums", "real_data"} & {*request.fixturenames, *request.keywords}:
        monkeypatch.setattr(MNIST, "_published", lambda self, path: None)


@pytest.fixture(autouse=True)
def _no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip pictures and report, which take longer than a small run, except in tests of them."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(Figures, "_publish", lambda *_: None)
        monkeypatch.setattr(ExperimentCLI, "_report", lambda *_: None)


@pytest.fixture
def pictures() -> None:
    """Draw pictures and write the report in this test, as in a normal run."""


@pytest.fixture
def published_sums() -> None:
    """Verify md5 sums in this test, as in a normal run."""


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")  # never ends


def _dead_link(path: Path) -> None:
    path.symlink_to("nothing")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.fixture(params=[_folder, _pipe, _device, _dead_link, _loop])
def make_non_file(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Return a function that creates something other than a regular file: one kind per test."""
    return request.param


@contextmanager
def memory_at_most(megabytes: float) -> Iterator[None]:
    """Check that the peak memory of the `with` block stays below a limit."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()


@contextmanager
def doubts_allowed() -> Iterator[None]:
    """Accept exit code 1, with which `predict` tells that a prediction is not to be trusted."""
    try:
        yield
    except SystemExit as stop:
        if stop.code != 1:
            raise


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write an array in the IDX format, uint8 or int32."""
    kind = {"uint8": 8, "int32": 12}[array.dtype.name]
    header = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.astype(array.dtype.newbyteorder(">")).tobytes())


def toy_images(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 28, 28) with a bar at a place that depends on the class, and labels."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(n) % 10).astype(np.uint8)
    images = generator.integers(0, 60, (n, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4:24, 2 * label + 4 : 2 * label + 7] = 220
    return images, labels


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets: the MNIST family as IDX files, and two classes as image files."""
    root = tmp_path_factory.mktemp("data")
    train, test = toy_images(300, seed=1), toy_images(130, seed=2)
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        for file, array in zip(MNIST_FILES, (*train, *test), strict=True):
            write_idx(root / name / "raw" / file, array)
    for split, (images, labels) in (("train", train), ("test", test)):
        rows = np.stack([labels.astype(np.int32)] * 8, axis=1)
        write_idx(root / "QMNIST" / "raw" / f"qmnist-{split}-images-idx3-ubyte", images)
        write_idx(root / "QMNIST" / "raw" / f"qmnist-{split}-labels-idx2-int", rows)
    write_folder(root / "images", {"cat": 0, "dog": 5}, train=40, test=8)
    return root


def write_folder(root: Path, classes: dict[str, int], train: int, test: int) -> None:
    """Write different PNG images of several sizes into train/<class>/ and test/<class>/."""
    for split, n in (("train", train), ("test", test)):
        for name, shift in classes.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = np.full((40 + i % 3, 48, 3), 30, dtype=np.uint8)
                pixels[:, 4 * shift : 4 * shift + 8] = 200
                pixels[-16:, -8:] = 30 + 2 * i % 60 + (split == "test")  # no image is in both
                Image.fromarray(pixels).save(folder / f"{i:03}.png")


@pytest.fixture
def run(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a command on the small data and returns its results.json."""
    monkeypatch.setenv("DATA_DIR", str(data_root))

    def command(*words: str) -> dict[str, Any]:
        main([str(word) for word in words])
        newest = max(Path("lightning_logs").rglob("results.json"), key=os.path.getmtime)
        return json.loads(newest.read_text())

    return command


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Save a checkpoint at every possible step, and copy the run folder after each one."""
    monkeypatch.setattr("src.callbacks.resume_points.SECONDS", 0.0)
    monkeypatch.setattr("src.callbacks.resume_points.SHARE", 0)
    copies: list[Path] = []
    save = ResumePoints._save

    def saved(self: ResumePoints, trainer: Trainer, folder: Path) -> None:
        save(self, trainer, folder)
        copies.append(tmp_path / f"snapshot{len(copies)}")
        shutil.copytree(folder.parent, copies[-1])

    monkeypatch.setattr(ResumePoints, "_save", saved)
    return copies


@pytest.fixture(autouse=True)
def _one_thread_and_seed() -> None:
    torch.manual_seed(0)  # or numbers would depend on the tests that ran before
    torch.set_num_threads(1)  # tiny models need no more, and results repeat
