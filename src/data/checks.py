"""What is asked of a file before it is trusted: to be a file, and to be the published one."""

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
    """Return whether a file is there, without opening it; False if nothing has its name.

    Raises:
        UserError: If the name is taken by what is not a file, or leads nowhere.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError as error:
        if not path.is_symlink():
            return False
        raise _no_file(path, "a link to nothing") from error
    except OSError as error:
        raise _no_file(path, f"not to be looked at ({error.strerror})") from error
    if kind == stat.S_IFREG:
        return True
    raise _no_file(path, KINDS.get(kind, "of an unknown kind"))


def check_md5(path: Path, expected: str, remedy: str) -> None:
    """Compare the md5 sum of a file with the one that was published.

    Raises:
        UserError: If they differ; it ends with the remedy.
    """
    found = calculate_md5(path)
    if found != expected:
        raise UserError(
            f"{shown(path)} is not the published file:\n"
            f"its md5 sum is {found}, expected {expected}.\n{remedy}"
        )


def shown(text: object) -> str:
    """Return a name for messages, in one line whatever it holds: other signs become escapes."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(text))


def _no_file(path: Path, found: str) -> UserError:
    return UserError(f"{shown(path)} is {found}, expected a file.\nMove it away.")
