"""Run folders: found, claimed by one process at a time, and gone on with."""

import fcntl
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from src.errors import UserError

LOGS = Path("lightning_logs")
JUDGING = ("validate", "test", "predict")
OTHERWISE = ("--config", "-c", "--model", "--print", "-h", "--help")  # go without a run
FOUND = "LINENET_RESUMED"  # from the first process of a run to those that it starts


def find(name: str, config: str | None, flag: str) -> Path | None:
    """Return the run folder that `--resume` or `--run` means.

    Args:
        name: A folder, or `latest`: the run that saved last, of this config if there is one.
        config: Name of the config given beside it.
        flag: Which of both, for messages.

    Returns:
        The folder; None if `latest` is asked for and no run of the config is there yet.

    Raises:
        UserError: If the folder is not that of a run, or there is no run at all.
    """
    if name != "latest":
        folder = Path(name)
        if (folder / "config.yaml").is_file():
            return folder if len(folder.parents) > 1 else folder.resolve()
        raise UserError(
            f"{flag} {name} is not the folder of a run: it has no config.yaml.\n"
            "Give lightning_logs/NAME/version_N, or latest."
        )
    runs = [path.parent for path in LOGS.glob(f"{config or '*'}/*/config.yaml") if trained(path)]
    if runs:
        return max(runs, key=last_saved)
    if config:
        return None
    raise UserError(f"{flag} latest: there is no run in {LOGS.absolute()}.\nGive its folder.")


def with_config(words: list[str]) -> tuple[list[str], Path | None]:
    """Return the words of a command with the config of its run put first, and what to resume.

    The run is that of `fit --resume`, or of `--run` in the commands that judge it, which get its
    best checkpoint, too. What else is said on the command line is laid over it.
    """
    command = next((word for word in words if word in (*JUDGING, "fit")), "")
    judging = command in JUDGING
    flag = "--run" if judging else "--resume"
    name, checkpoint = _option(words, flag), _option(words, "--ckpt_path")
    if judging and not any(word.startswith((flag, *OTHERWISE)) for word in words):
        raise UserError(
            f"{command} needs a run: give --run lightning_logs/NAME/version_N, or latest."
        )
    if name is None or not command:
        return words, None
    if checkpoint and not judging:
        raise UserError("--resume finds its checkpoint by itself; leave --ckpt_path away.")
    given = _option(words, "--config") or _option(words, "-c")
    folder = _as_first_process(find(name, Path(given).stem if given else None, flag))
    if folder is None:
        if judging:
            raise UserError(f"{flag} {name}: there is no run of {given} in {LOGS.absolute()}.")
        print(f"No run of {given} is there to resume: starting the first.", file=sys.stderr)
        return words, None
    found = ["--config", str(folder / "config.yaml")]
    if judging and name == "latest":
        print(f"The latest run is {folder}.")
    if judging and not checkpoint:
        found += ["--ckpt_path", str(best(folder))]
    place = words.index(command) + 1
    return [*words[:place], *found, *words[place:]], None if judging else folder


def best(folder: Path) -> Path:
    """Return the checkpoint of a run that validation chose, the one that was tested.

    Raises:
        UserError: If there is none, or the run was killed before it was tested and has several.
    """
    results = tested(folder) or {}
    saved = [path for path in folder.glob("checkpoints/*.ckpt") if "resume-" not in path.name]
    if chosen := results.get("best_checkpoint"):  # by name: the folder may have been moved
        saved = [path for path in saved if path.name == Path(str(chosen)).name]
    if len(saved) == 1:
        return saved[0]
    found = ", ".join(sorted(path.name for path in saved)) or "none"
    raise UserError(
        f"The best checkpoint of {folder} is not known: found {found} in checkpoints/.\n"
        "Give a run of fit that has saved one, or name the file with --ckpt_path FILE."
    )


def _as_first_process(folder: Path | None) -> Path | None:
    """Return the folder that the first process has found: latest may be another by now."""
    if int(os.environ.get("LOCAL_RANK", 0)):
        return Path(os.environ[FOUND]) if os.environ.get(FOUND) else folder
    os.environ[FOUND] = str(folder or "")
    return folder


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


def tested(folder: Path) -> dict[str, Any] | None:
    """Return the results of a run; None if it was killed before it was tested.

    Raises:
        UserError: If the file is damaged, or not one of a run.
    """
    path = folder / "results.json"
    if not path.is_file():
        return None
    try:
        results = json.loads(path.read_text())
        return results if "test/loss" in results["metrics"] else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged, or not of a run ({type(error).__name__}).\n"
            "Take it away, and the run counts as not tested."
        ) from error


def stop_if_finished(folder: Path, trainer: Any) -> None:
    """Say so if a run is finished and not to train for longer.

    Args:
        folder: The run's.
        trainer: The settings of the trainer that are asked for now.

    Raises:
        SystemExit: With code 0 if nothing is left to be done.
    """
    if tested(folder) is None:
        return
    then = yaml.safe_load((folder / "config.yaml").read_text())["trainer"]
    if all(then[name] == trainer[name] for name in ("max_epochs", "max_steps", "max_time")):
        more = (
            "For more, give --trainer.max_epochs (not with OneCycleLR, which has planned its end)."
        )
        print(f"{folder} is finished: see {folder / 'results.json'}.\n{more}")
        raise SystemExit(0)


def set_aside_results(folder: Path) -> None:
    """Keep results, report and pictures of a run that is to train for longer under other names."""
    results = tested(folder)
    if results is None:  # all comes anew
        return
    for name in ("results.json", "report.html", "figures"):
        if (old := folder / name).exists():
            kept = folder / f"{old.stem}-epoch{results['epochs']}{old.suffix}"
            if kept.is_dir():  # of an earlier end after as many epochs; a file is replaced
                shutil.rmtree(kept)
            old.rename(kept)


def make_folder(root: Path, version: str | int | None, held: ExitStack) -> Path:
    """Make a run folder, `root/version_N` with the next N or the one given, and lock it.

    Args:
        root: The folder of all runs of a config.
        version: A number or a name; None takes the next number.
        held: Keeps the lock.

    Raises:
        UserError: If the given one is there already, or the folder cannot be made.
    """
    name = version if isinstance(version, str) else f"version_{version}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(root):
            folder = root / (name if version is not None else f"version_{_next_number(root)}")
            is_new = not folder.exists()
            folder.mkdir(exist_ok=True)
            held.enter_context(locked(folder))
    except OSError as error:
        raise UserError(f"A run folder in {root} cannot be made: {error.strerror}.") from error
    if not is_new:
        raise UserError(
            f"The run folder {folder} is there already, and is not overwritten.\n"
            "Leave --trainer.logger.version away, or go on with the run: --resume FOLDER."
        )
    return folder


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let other processes wait that would make a run folder in the same place."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise UserError(
                f"{folder} is in use by {owner}.\nWait for it, or start a new run."
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
