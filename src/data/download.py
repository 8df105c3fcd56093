"""Downloads that end in seconds where there is no network, and leave a whole file or none."""

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

SECONDS = 5.0  # to answer, and for each piece
PIECE = 4096  # bytes; who sends fewer in that time stalls
LARGEST = 2**30  # bytes; no data set here comes near
PREFIX = ".unfinished-"
LOCK = ".lock"
OLD = 3600.0  # seconds; what was left unfinished before that, nobody is working at


def fetch(urls: Sequence[str], md5: str, target: Path) -> None:
    """Write `target` from the first url that has it, checked against its md5 sum.

    Of processes that ask for it at once, one downloads and the others wait for its file.

    Raises:
        UserError: If no url gives the file; each is named with its reason.
    """
    try:
        with workshop(target.parent) as folder:
            if not check_integrity(target, md5):
                os.replace(_first(urls, md5, folder / target.name), target)
    except OSError as error:
        raise UserError(f"{shown(target)} cannot be written ({error})") from error


@contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """Lend a new folder in `folder`, for what is not finished, to one process at a time.

    The lock ends with its process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        for left in folder.glob(f"{PREFIX}*"):  # by killed ones, or by one of another machine
            if time.time() - left.stat().st_mtime > OLD:
                shutil.rmtree(left, ignore_errors=True)
        with TemporaryDirectory(prefix=PREFIX, dir=folder) as lent:
            yield Path(lent)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write into a folder, and say so while another one does."""
    with ExitStack() as held:
        try:
            held.enter_context(lock(folder / LOCK, timeout=0))
        except Timeout:
            print(f"Waiting for another process that writes into {shown(folder)}", file=sys.stderr)
            held.enter_context(lock(folder / LOCK))
        yield


def _first(urls: Sequence[str], md5: str, path: Path) -> Path:
    """Return `path` with what the first url gave that has the right md5 sum."""
    reasons = []
    for url in urls:
        try:
            _receive(url, path)
            if (found := calculate_md5(path)) == md5:
                return path
            reasons.append(f"{url} (its md5 sum is {found}, expected {md5})")
        except Exception as error:  # a server may say anything, and the next may be better
            reasons.append(f"{url} ({shown(error)})")
    raise UserError("no mirror gave it: " + "; ".join(reasons))


def _receive(url: str, path: Path) -> None:
    """Download a file, and give up when nothing comes."""
    transfer = Transfer(url, path)
    transfer.start()
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        bar = progress.add_task(path.name, total=None)
        while transfer.is_alive():
            transfer.join(0.1)
            progress.update(bar, completed=transfer.done, total=transfer.total)
            if time.monotonic() - transfer.heard > SECONDS:
                raise TimeoutError(f"timed out: nothing came for {SECONDS:g} s")
    if transfer.error:
        raise transfer.error


class Transfer(Thread):
    """A download under way that can be left alone: looking up a name knows no timeout.

    Attributes:
        done: Bytes that have come.
        total: Bytes that the server promised, if it did.
        heard: When the last piece came.
        error: What ended it early.
    """

    def __init__(self, url: str, path: Path) -> None:
        super().__init__(daemon=True)
        self.url, self.path = url, path
        self.done, self.total = 0, None
        self.heard = time.monotonic()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._copy()
        except Exception as error:
            self.error = error
            if isinstance(error, HTTPError):
                error.close()  # it holds the connection

    def _copy(self) -> None:
        request = Request(self.url, headers={"User-Agent": "linenet"})
        # The timeout of the socket ends a thread that was left alone.
        with urlopen(request, timeout=2 * SECONDS) as response, self.path.open("wb") as file:
            self.total, self.heard = response.length, time.monotonic()
            while piece := response.read(PIECE):
                file.write(piece)
                self.done, self.heard = self.done + len(piece), time.monotonic()
                if self.done > LARGEST:
                    raise ValueError(f"it sends more than {LARGEST} bytes")
