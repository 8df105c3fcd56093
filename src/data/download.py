"""Downloads that fail within seconds without a network and never leave an incomplete file."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import Timeout
from rich.console import Console
from rich.progress import Progress
from torchvision.datasets.utils import calculate_md5, check_integrity

from src.data.checks import shown
from src.errors import UserError
from src.files import lock

TIMEOUT = 5.0  # seconds, to connect and for each chunk
CHUNK = 4096  # bytes; a server that sends fewer within the timeout has stalled
LARGEST = 2**30  # bytes; far more than any data set here
PREFIX = ".unfinished-"
LOCK = ".lock"
MAX_AGE = 3600.0  # seconds; an older unfinished download is abandoned and removed


def fetch(urls: Sequence[str], md5: str, target: Path) -> None:
    """Download `target` from the first url that provides it with the right md5 sum.

    If several processes call this at once, one downloads and the others wait for its file.

    Raises:
        UserError: If no url provides the file, with the reason for each, or it cannot be written.
    """
    try:
        with temporary_folder(target.parent) as folder:
            if not check_integrity(target, md5):
                os.replace(_download_first(urls, md5, folder / target.name), target)
    except OSError as error:
        raise UserError(f"{shown(target)} cannot be written ({error})") from error


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """Yield a new temporary folder in `folder`, to one process at a time.

    The lock is released however the process ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        for unfinished in folder.glob(f"{PREFIX}*"):  # of killed processes or other machines
            if time.time() - unfinished.stat().st_mtime > MAX_AGE:
                shutil.rmtree(unfinished, ignore_errors=True)
        with TemporaryDirectory(prefix=PREFIX, dir=folder) as temporary:
            yield Path(temporary)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write into a folder, and say so while another one does."""
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(folder / LOCK, timeout=0))
        except Timeout:
            print(f"Waiting for another process that writes into {shown(folder)}", file=sys.stderr)
            stack.enter_context(lock(folder / LOCK))
        yield


def _download_first(urls: Sequence[str], md5: str, path: Path) -> Path:
    """Download to `path` from the first url that has the right md5 sum, and return `path`."""
    reasons = []
    for url in urls:
        try:
            _receive(url, path)
            if (found := calculate_md5(path)) == md5:
                return path
            reasons.append(f"{url} (its md5 sum is {found}, expected {md5})")
        except Exception as error:  # servers fail in many ways; try the next one
            reasons.append(f"{url} ({shown(error)})")
    raise UserError("no mirror provides the file: " + "; ".join(reasons))


def _receive(url: str, path: Path) -> None:
    """Download a url to `path`.

    Raises:
        Exception: TimeoutError if no data arrives in time; otherwise any error of the transfer.
    """
    transfer = Transfer(url, path)
    transfer.start()
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        bar = progress.add_task(path.name, total=None)
        while transfer.is_alive():
            transfer.join(0.1)
            progress.update(bar, completed=transfer.done, total=transfer.total)
            if time.monotonic() - transfer.last_data > TIMEOUT:
                raise TimeoutError(f"timed out: no data for {TIMEOUT:g} s")
    if transfer.error:
        raise transfer.error


class Transfer(Thread):
    """Download in a background thread, which can be abandoned: DNS lookups have no timeout.

    Attributes:
        done: Number of bytes received.
        total: Number of bytes that the server announced, or None.
        last_data: Time of the last chunk, by time.monotonic().
        error: The exception that ended the download, or None.
    """

    def __init__(self, url: str, path: Path) -> None:
        super().__init__(daemon=True)
        self.url, self.path = url, path
        self.done, self.total = 0, None
        self.last_data = time.monotonic()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._copy()
        except Exception as error:
            self.error = error
            if isinstance(error, HTTPError):
                error.close()  # it keeps the connection open

    def _copy(self) -> None:
        request = Request(self.url, headers={"User-Agent": "linenet"})
        # The socket timeout ends an abandoned thread.
        with urlopen(request, timeout=2 * TIMEOUT) as response, self.path.open("wb") as file:
            self.total, self.last_data = response.length, time.monotonic()
            while chunk := response.read(CHUNK):
                file.write(chunk)
                self.done, self.last_data = self.done + len(chunk), time.monotonic()
                if self.done > LARGEST:
                    raise ValueError(f"the server sends more than {LARGEST} bytes")
