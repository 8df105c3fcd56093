"""Run folders: found, claimed by one process at a time, and gone on with."""

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from src.errors import UserError

LOGS = Path("lightning_logs")


def find(name: str, config: str | None) -> Path | None:
    """Return the run folder that `--resume` means.

    Args:
        name: A folder, or `latest`: the run that saved last, of this config if there is one.
        config: Name of the config given beside it.

    Returns:
        The folder; None if `latest` is asked for and no run of the config is there yet.

    Raises:
        UserError: If the folder is not that of a run, or there is no run at all.
    """
    if name != "latest":
        folder = Path(name)
        if (folder / "config.yaml").is_file():
            return folder
        raise UserError(
            f"--resume {name} is not the folder of a run: it has no config.yaml.\n"
            "Give lightning_logs/NAME/version_N, or latest."
        )
    runs = [path.parent for path in LOGS.glob(f"{config or '*'}/*/config.yaml") if trained(path)]
    if runs:
        return max(runs, key=last_saved)
    if config:
        return None
    raise UserError(f"--resume latest: there is no run in {LOGS.absolute()}.\nGive its folder.")


def with_config(words: list[str]) -> tuple[list[str], Path | None]:
    """Return the words of a command with the config of the run to resume put first, and its folder.

    What else is said on the command line is laid over it.
    """
    name = _option(words, "--resume")
    if name is None or "fit" not in words:
        return words, None
    given = _option(words, "--config") or _option(words, "-c")
    folder = find(name, Path(given).stem if given else None)
    if folder is None:
        print(f"No run of {given} is there to resume: starting the first.", file=sys.stderr)
        return words, None
    place = words.index("fit") + 1
    return [*words[:place], "--config", str(folder / "config.yaml"), *words[place:]], folder


def _option(words: list[str], name: str) -> str | None:
    for word, following in zip(words, [*words[1:], None], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def header(command: str) -> str:
    """Return the first line of the config that a run writes, which tells of what command."""
    return f"# {command}: python -m src.cli {command} --config THIS_FILE\n"


def trained(config: Path) -> bool:
    """Return whether a run was one of `fit`, the only one to resume."""
    with config.open() as file:
        return file.readline() == header("fit")


def last_saved(folder: Path) -> float:
    """Return when a run last wrote a checkpoint, or its config if it never did."""
    files = [folder / "config.yaml", *folder.glob("checkpoints/*.ckpt")]
    return max(file.stat().st_mtime for file in files)


def set_aside_results(folder: Path, trainer: Any) -> None:
    """Keep the results of a finished run under another name, if it is to train for longer.

    Args:
        folder: The run's.
        trainer: The settings of the trainer that are asked for now.

    Raises:
        SystemExit: With code 0 if nothing is left to be done.
    """
    path = folder / "results.json"
    if not path.is_file():
        return
    results = json.loads(path.read_text())
    if "test/loss" not in results["metrics"]:  # killed before it was tested
        return
    then = yaml.safe_load((folder / "config.yaml").read_text())["trainer"]
    if all(then[name] == trainer[name] for name in ("max_epochs", "max_steps", "max_time")):
        print(f"{folder} is finished: see {path}. For more, give --trainer.max_epochs.")
        raise SystemExit(0)
    path.rename(folder / f"results-epoch{results['epochs']}.json")


def make_folder(root: Path, version: str | int | None) -> Path:
    """Make a new run folder, `root/version_N` with the first N that is free or the one given.

    Raises:
        UserError: If the given one is there already, or the folder cannot be made.
    """
    names = [version if isinstance(version, str) else f"version_{version}"]
    numbers = (f"version_{n}" for n in count(_next_number(root)))
    for name in names if version is not None else numbers:
        try:
            (root / name).mkdir(parents=True)
            return root / name
        except FileExistsError:  # another process was faster
            continue
        except OSError as error:
            raise UserError(
                f"The run folder {root / name} cannot be made: {error.strerror}."
            ) from error
    with locked(root / names[0]):  # or say who is using it
        raise UserError(
            f"The run folder {root / names[0]} is there already, and is not overwritten.\n"
            "Leave --trainer.logger.version away, or go on with the run: --resume FOLDER."
        )


def _next_number(root: Path) -> int:
    numbers = [path.name.removeprefix("version_") for path in root.glob("version_*")]
    return max((int(number) for number in numbers if number.isdigit()), default=-1) + 1


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder; the lock of a dead one is free again.

    Raises:
        UserError: If a living process has it; its number is named.
    """
    path = folder / ".lock"
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise UserError(
                f"{folder} is in use by {path.read_text().strip()}.\n"
                "Wait for it, or start a new run."
            ) from None
        if os.fstat(file.fileno()).st_nlink:
            break
        file.close()  # its last user has just removed it
    file.truncate(0)
    print(f"process {os.getpid()} on {socket.gethostname()}", file=file, flush=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()
        with suppress(OSError):  # of a run that has left something
            folder.rmdir()
