"""Files written atomically, and locks between processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from src.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file atomically: write beside `path`, flush to the disk, then rename.

    Raises:
        UserError: If the file cannot be written; an earlier file of that name is left as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _flush_names(path.parent)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if not isinstance(error, OSError):
            raise
        raise UserError(
            f"{path} cannot be written: {error.strerror} ({len(data):,} bytes).\n"
            "An earlier file of that name is intact."
        ) from error


def _flush_names(folder: Path) -> None:
    """Flush a folder to the disk, since only then a new name in it is there after a power cut."""
    if os.name != "posix":  # Windows cannot open a folder, and flushes names by itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of killed processes in a folder and below."""
    for part in folder.rglob("*.part"):
        part.unlink(missing_ok=True)


@contextmanager
def lock(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a lock file, which is removed at the end; the lock of a dead process is free.

    Args:
        path: The lock file, in an existing folder.
        timeout: Seconds to wait for another process; negative waits for ever.

    Raises:
        filelock.Timeout: If another process holds the lock for longer.
        OSError: If the file cannot be made, e.g. in /proc, where the lock would wait for ever.
    """
    path.touch()
    file = FileLock(path)
    file.acquire(timeout=timeout)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows cannot remove a file that another process has open
            path.unlink()  # still locked: a process that has just opened it sees that it is gone
        file.release()
