"""Files that are whole or absent."""

import os
from contextlib import suppress
from pathlib import Path

from src.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write beside `path`, flush to the disk and rename, so that no half-written file is left.

    Raises:
        UserError: If the file cannot be written; what was there before is still there then.
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
            "Whatever was there before is intact."
        ) from error


def _flush_names(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder and below."""
    for part in folder.rglob("*.part"):
        part.unlink(missing_ok=True)
