"""Run folders: created under a new name, and locked by the one process that writes to them."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

from filelock import Timeout

from src.errors import UserError
from src.files import lock

LOCK, OWNER = ".lock", ".lock-owner"
PREPARED = re.compile(  # written before the first step
    r"(config|hparams)\.yaml|(provenance|trackers)\.json|changes(-\d+)?\.diff|events\.out\..*"
)


def new_version(root: Path, version: str | int | None, stack: ExitStack) -> Path:
    """Create and lock the run folder `root/version_N`, with the next free N or the given version.

    A given version may exist if it is empty: a job may be killed as soon as it has started.

    Args:
        root: The folder of all runs of a config.
        version: A number, a name, or None for the next number.
        stack: Keeps the lock.

    Raises:
        UserError: If the given version exists already, or the folder cannot be created.
    """
    name = version_name(version)
    with _creating_in(root):
        folder = root / (name or f"version_{_next_number(root)}")
        if _create(folder, stack):
            return folder
        with ExitStack() as attempt:
            attempt.enter_context(locked(folder))  # names the process that is using it
            if not any(path.name not in (LOCK, OWNER) for path in folder.iterdir()):
                stack.push(attempt.pop_all())  # killed before it wrote anything
                stack.push(partial(_discard, folder))
                return folder
    raise UserError(
        f"The run folder {folder} exists already, and is not overwritten.\n"
        "Name another one or none, or resume that run: --resume FOLDER."
    )


def version_name(version: str | int | None) -> str | None:
    """Return the name of the folder of a version; None for the next number."""
    return f"version_{version}" if isinstance(version, int) else version


def new_folder(parent: Path, name: str, stack: ExitStack) -> Path:
    """Create and lock `parent/name`, or the first free one of `name-2`, `name-3`, ...

    Raises:
        UserError: If the folder cannot be created.
    """
    with _creating_in(parent):
        names = (name if number == 1 else f"{name}-{number}" for number in count(1))
        return next(parent / free for free in names if _create(parent / free, stack))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder; the lock of a dead process is free.

    A folder that is still empty at the end is removed.

    Raises:
        UserError: If another process holds the lock; the message names it.
    """
    owner = folder / OWNER
    with ExitStack() as stack:
        stack.callback(_remove_if_empty, folder)
        try:
            stack.enter_context(lock(folder / LOCK, timeout=0))
        except Timeout as error:
            name = (
                owner.read_text(encoding="utf-8").strip() if owner.is_file() else "another process"
            )
            raise UserError(
                f"{folder} is in use by {name}.\nWait for it, or start a new run."
            ) from error
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        stack.callback(owner.unlink, missing_ok=True)
        yield


def claim(folder: Path, resumes: bool, stack: ExitStack) -> None:
    """Lock a folder for checkpoints that the user has named, for one run.

    Args:
        folder: The folder, which is created.
        resumes: Whether the run that its checkpoints belong to is resumed.
        stack: Keeps the lock.

    Raises:
        UserError: If it holds checkpoints already, or another run is using it.
    """
    found = sorted(path.name for path in folder.glob("*.ckpt"))
    if found and not resumes:
        raise UserError(
            f"The checkpoint folder {folder} belongs to another run: it holds {found[0]}.\n"
            "Give another --checkpoint.dirpath, or leave it out: each run has its own folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    stack.enter_context(locked(folder))


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # it is not empty
        folder.rmdir()


@contextmanager
def _creating_in(root: Path) -> Iterator[None]:
    """Let one process at a time create run folders in `root`."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with lock(root / LOCK):
            yield
    except OSError as error:
        raise UserError(f"A run folder in {root} cannot be created: {error.strerror}.") from error


def _create(folder: Path, stack: ExitStack) -> bool:
    """Create a folder and lock it; return False if it exists."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    stack.enter_context(locked(folder))
    stack.push(partial(_discard, folder))
    return True


def _discard(folder: Path, error: type[BaseException] | None, *_: object) -> None:
    """Empty a new folder after an error, if it holds only what is written before the first step."""
    if error is None or not issubclass(error, Exception):
        return
    paths = [path for path in folder.rglob("*") if path.name not in (LOCK, OWNER)]
    if all(path.is_dir() or _is_preparation(path, folder) for path in paths):
        for path in sorted(paths, reverse=True):  # the files of a folder before the folder
            path.unlink() if path.is_symlink() or not path.is_dir() else path.rmdir()


def _is_preparation(path: Path, folder: Path) -> bool:
    """Return whether a file of a run is written before its first step, and holds no result."""
    if path.name in ("curves.csv", "metrics.csv"):
        return path.read_text(encoding="utf-8").count("\n") < 2  # only the names of columns
    return bool(PREPARED.fullmatch(path.name)) or path.relative_to(folder).parts[0] == "wandb"


def _next_number(root: Path) -> int:
    numbers = [path.name.removeprefix("version_") for path in root.glob("version_*")]
    return max((int(number) for number in numbers if number.isdigit()), default=-1) + 1
