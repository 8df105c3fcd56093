"""Checks that a path is a regular file, and that a file is the published one."""

import stat
from pathlib import Path

from torchvision.datasets.utils import calculate_md5

from src.errors import UserError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_file(path: Path) -> bool:
    """Return whether a regular file exists, without opening it; False if nothing exists there.

    Raises:
        UserError: If the path is a folder, a pipe or the like, a broken link or not accessible.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError as error:
        if not path.is_symlink():
            return False
        raise _not_a_file(path, "a broken link") from error
    except OSError as error:
        raise _not_a_file(path, f"not accessible ({error.strerror})") from error
    if kind == stat.S_IFREG:
        return True
    raise _not_a_file(path, KINDS.get(kind, "of an unknown type"))


def check_md5(path: Path, expected: str, remedy: str) -> None:
    """Check that a file has the md5 sum that was published for it.

    Raises:
        UserError: If the sums differ; the message ends with `remedy`.
    """
    found = calculate_md5(path)
    if found != expected:
        raise UserError(
            f"{shown(path)} is not the published file:\n"
            f"its md5 sum is {found}, expected {expected}.\n{remedy}"
        )


def shown(text: object) -> str:
    """Return text for a one-line message, with non-printable characters escaped."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))


def _not_a_file(path: Path, found: str) -> UserError:
    return UserError(f"{shown(path)} is {found}, expected a file.\nMove or delete it.")
