"""Downloads that end in seconds where there is no network, and leave a whole file or none."""

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies

from torchvision.datasets.utils import download_url

from src.errors import UserError

SECONDS = 5.0  # to connect, and between two pieces of a file


def fetch(urls: Sequence[str], md5: str, target: Path) -> None:
    """Write `target` from the first url that has it, checked against its md5 sum.

    Raises:
        UserError: If no url gives the file; each is named with its reason.
    """
    reasons = []
    for url in urls:
        try:
            _connect(url)
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder, _timeout():
                download_url(url, folder, target.name, md5)
                os.replace(Path(folder, target.name), target)
            return
        except (OSError, RuntimeError, HTTPException) as error:
            reasons.append(f"{url} ({error})")
    raise UserError("no mirror gave it: " + "; ".join(reasons))


def _connect(url: str) -> None:
    """Raise OSError unless the url's host answers in time; looking up its name has no timeout."""
    host = urlsplit(url)
    if host.scheme in getproxies():
        return  # then it is the proxy that answers
    address = (host.hostname or "", host.port or {"https": 443}.get(host.scheme, 80))
    result: list[OSError | None] = [TimeoutError(f"no answer in {SECONDS:g} s")]

    def attempt() -> None:
        try:
            socket.create_connection(address, timeout=SECONDS).close()
            result[0] = None
        except OSError as error:
            result[0] = error

    thread = Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if result[0]:
        raise result[0]


@contextmanager
def _timeout() -> Iterator[None]:
    """Give the sockets that torchvision opens a timeout, which it has no argument for."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
