"""Downloads from local servers that work, fail, send wrong data, stall or disconnect."""

import gzip
import hashlib
import multiprocessing
import os
import signal
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler
from time import monotonic, sleep, time
from typing import Any

import pytest
import torch
from torchvision import datasets

from src.data import download
from src.data.cifar10 import CIFAR10
from src.data.download import fetch
from src.data.mnist import MNIST
from src.errors import UserError
from tests.conftest import MNIST_FILES

CONTENT = bytes(range(256)) * 500
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


class Files(SimpleHTTPRequestHandler):
    """Serves the files of a folder, without log messages."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(handler: Callable[..., BaseRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that holds `file` and whatever a test adds."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)
    return folder


@pytest.fixture
def mirror(served: Path) -> Iterator[str]:
    with serving(partial(Files, directory=served)) as url:
        yield url


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "raw" / "file"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def listing(target: Path) -> list[str]:
    return [path.name for path in target.parent.iterdir()] if target.parent.exists() else []


def failed(urls: list[str], target: Path) -> str:
    """Check that the download fails and writes no file, and return the error message."""
    with pytest.raises(UserError) as caught:
        fetch(urls, MD5, target)
    assert listing(target) == []
    for url in urls:
        assert url in str(caught.value)
    return str(caught.value)


def test_a_download_writes_the_file_and_nothing_else(mirror: str, target: Path) -> None:
    fetch([mirror + "file"], MD5, target)
    assert target.read_bytes() == CONTENT
    assert listing(target) == ["file"]


def test_a_damaged_file_is_replaced_and_others_stay(mirror: str, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(b"damaged")
    target.with_name("other").write_bytes(b"other")
    fetch([mirror + "file"], MD5, target)
    assert target.read_bytes() == CONTENT
    assert sorted(listing(target)) == ["file", "other"]


def test_the_second_mirror_is_used_if_the_first_has_no_such_file(mirror: str, target: Path) -> None:
    fetch([mirror + "absent", mirror + "file"], MD5, target)
    assert target.read_bytes() == CONTENT


def test_the_second_mirror_is_used_if_the_first_has_another_file(
    mirror: str, served: Path, target: Path
) -> None:
    (served / "wrong").write_bytes(b"wrong")
    fetch([mirror + "wrong", mirror + "file"], MD5, target)
    assert target.read_bytes() == CONTENT


def test_the_second_mirror_is_used_if_the_first_is_down(mirror: str, target: Path) -> None:
    fetch([f"http://127.0.0.1:{free_port()}/file", mirror + "file"], MD5, target)
    assert target.read_bytes() == CONTENT


def test_a_missing_file_is_reported_and_leaves_nothing(mirror: str, target: Path) -> None:
    assert "404" in failed([mirror + "absent", mirror + "gone"], target)


def test_a_wrong_md5_sum_is_refused_and_leaves_nothing(
    mirror: str, served: Path, target: Path
) -> None:
    (served / "file").write_bytes(CONTENT[:-1] + b"\0")
    assert "md5 sum" in failed([mirror + "file"], target)


def test_a_server_that_is_down_is_reported(target: Path) -> None:
    assert "refused" in failed([f"http://127.0.0.1:{free_port()}/file"], target)


class Disconnects(Files):
    """Announces the whole file, sends half of it and disconnects."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2])


def test_a_server_that_disconnects_leaves_nothing(target: Path) -> None:
    with serving(Disconnects) as url:
        failed([url + "file"], target)


class Stalls(Files):
    """Sends half of the file and then nothing during the test."""

    over = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2])
        self.over.wait(10)


def test_a_server_that_stalls_times_out(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    with serving(Stalls) as url:
        start = monotonic()
        assert "timed out" in failed([url + "file"], target)
        Stalls.over.set()
    assert monotonic() - start < 3


class Silent(BaseRequestHandler):
    """Accepts connections and sends nothing during the test."""

    over = threading.Event()

    def handle(self) -> None:
        self.over.wait(10)


def test_a_server_that_never_answers_times_out(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    with serving(Silent) as url:
        start = monotonic()
        assert "timed out" in failed([url + "file"], target)
        Silent.over.set()
    assert monotonic() - start < 3


class Trickles(Files):
    """Sends a byte every 0.02 seconds."""

    over = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            for _ in range(200):
                self.wfile.write(b"x")
                if self.over.wait(0.02):
                    break


def test_a_server_that_is_too_slow_times_out(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    with serving(Trickles) as url:
        start = monotonic()
        assert "timed out" in failed([url + "file"], target)
        assert monotonic() - start < 2
        Trickles.over.set()


def test_a_slow_download_is_completed(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Files):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for start in range(0, len(CONTENT), 16_000):
                sleep(0.1)
                self.wfile.write(CONTENT[start : start + 16_000])

    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    with serving(Slow) as url:
        start = monotonic()
        fetch([url + "file"], MD5, target)
    assert target.read_bytes() == CONTENT
    assert monotonic() - start > 0.8


def test_an_endless_download_is_stopped(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LARGEST", 100_000)
    with serving(Trickles) as url:
        monkeypatch.setattr(Trickles, "do_GET", endless)
        assert "more than 100000 bytes" in failed([url + "file"], target)


def endless(self: Files) -> None:
    self.send_response(200)
    self.end_headers()
    with suppress(OSError):
        while True:
            self.wfile.write(CONTENT)


def answer(status: int, content: bytes = b"", **headers: str) -> type[Files]:
    """Return a server with one answer to all requests except for `file`, which it sends."""

    class Answers(Files):
        def do_GET(self) -> None:
            right = self.path == "/file"
            self.send_response(200 if right else status)
            for name, value in {} if right else headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(CONTENT if right else content)

    return Answers


PAGE = b"<!DOCTYPE html><html><body>This domain is for sale.</body></html>"


@pytest.mark.parametrize(
    ("server", "message"),
    [
        (answer(404), "404"),
        (answer(500), "500"),
        (answer(200, PAGE), hashlib.md5(PAGE).hexdigest()),
        (answer(200, CONTENT[:-1]), f"expected {MD5}"),
        (answer(200, CONTENT, Content_Length="1000"), f"expected {MD5}"),
        (answer(200, CONTENT[:-1], Content_Length="1000000"), f"expected {MD5}"),
        (answer(200, CONTENT[:-1], Content_Length="-5"), f"expected {MD5}"),
        (answer(200, CONTENT, Transfer_Encoding="chunked"), ""),
        (answer(302, Location="/elsewhere"), "302"),
        (answer(302, Location="file:///etc/passwd"), "302"),
        (answer(302), "302"),
        (answer(204), "md5 sum"),
    ],
    ids=["404", "500", "page", "cut", "too long", "too short", "length", "chunks", "circle",
         "to a file", "nowhere", "empty"],
)  # fmt: skip
def test_a_wrong_answer_leaves_nothing_and_the_next_mirror_is_used(
    server: type[Files], message: str, target: Path
) -> None:
    with serving(server) as url:
        assert message in failed([url + "other"], target)
        fetch([url + "other", url + "file"], MD5, target)
    assert target.read_bytes() == CONTENT
    assert listing(target) == ["file"]


def test_a_redirect_is_followed(target: Path) -> None:
    with serving(answer(302, Location="/file")) as url:
        fetch([url + "other"], MD5, target)
    assert target.read_bytes() == CONTENT


class Greets(BaseRequestHandler):
    """Answers in another protocol than HTTP."""

    def handle(self) -> None:
        self.request.sendall(b"220 mail.example ESMTP\r\n")


def test_a_server_that_does_not_speak_http_is_refused(target: Path) -> None:
    with serving(Greets) as url:
        failed([url + "file"], target)


def test_a_host_that_is_never_found_times_out(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def look_up(*_: Any, **__: Any) -> None:
        over.wait(10)
        raise OSError("no such host")

    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    monkeypatch.setattr(socket, "create_connection", look_up)
    start = monotonic()
    assert "no data for 0.2 s" in failed(["https://example.org/file"], target)
    over.set()
    assert monotonic() - start < 2


def test_the_default_timeout_of_sockets_is_not_changed(mirror: str, target: Path) -> None:
    fetch([mirror + "file"], MD5, target)
    assert socket.getdefaulttimeout() is None
    failed([mirror + "absent"], target.parent / "new" / "absent")
    assert socket.getdefaulttimeout() is None


def run_processes(n: int, work: Callable[[int], None]) -> list[int | None]:
    """Run `work(0)` to `work(n - 1)` in parallel processes and return their exit codes."""
    context = multiprocessing.get_context("fork")  # a spawned process would import for seconds
    begin = context.Event()

    def waiting(number: int) -> None:
        begin.wait(10)
        work(number)

    processes = [context.Process(target=waiting, args=(i,)) for i in range(n)]
    for process in processes:
        process.start()
    begin.set()
    for process in processes:
        process.join(30)
    return [process.exitcode for process in processes]


forks = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


class Records(Files):
    """Serves the files of a folder, slowly, and records the paths of requests."""

    requested: list[str]

    def do_GET(self) -> None:
        self.requested.append(self.path)
        sleep(0.2)
        super().do_GET()


@forks
def test_eight_processes_get_the_file_with_one_download(
    served: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Records, "requested", [], raising=False)

    def work(number: int) -> None:
        sleep(number * 0.03)
        fetch([url + "file"], MD5, target)
        assert target.read_bytes() == CONTENT

    with serving(partial(Records, directory=served)) as url:
        assert run_processes(8, work) == [0] * 8
    assert Records.requested == ["/file"]
    assert listing(target) == ["file"]
    waiting = f"Waiting for another process that writes into {target.parent}"
    assert 1 <= capfd.readouterr().err.count(waiting) <= 7


@forks
def test_eight_processes_prepare_mnist_with_one_download(
    data_root: Path, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Records, "requested", [], raising=False)
    monkeypatch.setattr(datasets.MNIST, "resources", packed_mnist(data_root / "MNIST/raw", served))
    expected = MNIST(root=str(data_root)).load()

    def work(number: int) -> None:
        data = MNIST(root=str(tmp_path), source="mnist")
        data.prepare_data()
        for images, right in zip(data.load(), expected, strict=True):
            assert torch.equal(images[0], right[0])
            assert torch.equal(images[1], right[1])

    with serving(partial(Records, directory=served)) as url:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [url])
        assert run_processes(8, work) == [0] * 8
    assert sorted(Records.requested) == sorted(f"/{file}.gz" for file in MNIST_FILES)


@forks
def test_a_killed_download_does_not_block_other_processes(
    served: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Records, "requested", [], raising=False)

    def work(number: int) -> None:
        if number == 0:  # killed before the file is complete
            download.calculate_md5 = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        while number and not list(target.parent.glob(f"{download.PREFIX}*")):
            sleep(0.01)
        fetch([url + "file"], MD5, target)
        assert target.read_bytes() == CONTENT

    with serving(partial(Records, directory=served)) as url:
        assert run_processes(8, work) == [-signal.SIGKILL] + [0] * 7
    assert Records.requested == ["/file"] * 2
    [unfinished] = set(listing(target)) - {"file"}
    assert unfinished.startswith(download.PREFIX)


def test_old_unfinished_downloads_are_removed(mirror: str, target: Path) -> None:
    for name, age in (("old", 2 * download.MAX_AGE), ("young", 60)):
        folder = target.parent / f"{download.PREFIX}{name}"
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"half")
        os.utime(folder, (time() - age,) * 2)
    fetch([mirror + "file"], MD5, target)
    assert sorted(listing(target)) == [f"{download.PREFIX}young", "file"]


def test_a_folder_that_cannot_be_written_to_is_reported(mirror: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=r"taken/raw/file cannot be written"):
        fetch([mirror + "file"], MD5, tmp_path / "taken/raw/file")


def packed_mnist(source: Path, served: Path) -> list[tuple[str, str]]:
    """Serve the four files packed, and return their names and md5 sums."""
    resources = []
    for file in MNIST_FILES:
        content = gzip.compress((source / file).read_bytes())
        (served / f"{file}.gz").write_bytes(content)
        resources.append((f"{file}.gz", hashlib.md5(content).hexdigest()))
    return resources


def test_mnist_is_downloaded_and_read(
    data_root: Path, served: Path, mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.MNIST, "resources", packed_mnist(data_root / "MNIST/raw", served))
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{free_port()}/", mirror])
    got, expected = (MNIST(root=str(root), val_size=50) for root in (tmp_path, data_root))
    for data in (got, expected):
        data.prepare_data()
        data.setup("fit")
    assert sorted(listing(tmp_path / "MNIST/raw/x")) == sorted(f"{file}.gz" for file in MNIST_FILES)
    for name in ("train", "val", "test"):
        assert torch.equal(got.splits[name].x, expected.splits[name].x)
        assert torch.equal(got.splits[name].y, expected.splits[name].y)


def test_only_missing_files_of_mnist_are_downloaded(
    data_root: Path, served: Path, mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.MNIST, "resources", packed_mnist(data_root / "MNIST/raw", served))
    monkeypatch.setattr(datasets.MNIST, "mirrors", [mirror])
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for file in MNIST_FILES[:3]:
        (raw / file).write_bytes((data_root / "MNIST/raw" / file).read_bytes())
    MNIST(root=str(tmp_path)).prepare_data()
    assert sorted(path.name for path in raw.iterdir()) == sorted(
        [*MNIST_FILES[:3], f"{MNIST_FILES[3]}.gz"]
    )


def test_mnist_reports_why_its_download_failed(
    mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [mirror])
    data = MNIST(root=str(tmp_path), source="mnist")
    data.prepare_data()
    with pytest.raises(UserError, match=rf"{mirror}{MNIST_FILES[0]}\.gz .*404"):
        data.setup("fit")


def packed_cifar10(served: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve packed batches, and make torchvision expect their URL and md5 sum."""
    batches = served / "cifar-10-batches-py"
    batches.mkdir()
    (batches / "test_batch").write_bytes(b"batch")
    packed = served / "cifar-10-python.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(batches, batches.name)
    monkeypatch.setattr(datasets.CIFAR10, "url", url + packed.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(packed.read_bytes()).hexdigest())


@forks
def test_eight_processes_prepare_cifar10_with_one_download(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Records, "requested", [], raising=False)

    def work(number: int) -> None:
        CIFAR10(root=str(tmp_path / "new")).prepare_data()
        assert (tmp_path / "new/cifar-10-batches-py/test_batch").read_bytes() == b"batch"

    with serving(partial(Records, directory=served)) as url:
        packed_cifar10(served, url, monkeypatch)
        assert run_processes(8, work) == [0] * 8
    assert Records.requested == ["/cifar-10-python.tar.gz"]


def test_cifar10_is_downloaded_and_unpacked(
    served: Path, mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed_cifar10(served, mirror, monkeypatch)
    CIFAR10(root=str(tmp_path / "new")).prepare_data()
    assert (tmp_path / "new/cifar-10-batches-py/test_batch").read_bytes() == b"batch"
