"""Which run a command refers to: `fit --resume RUN`, or `test | validate | predict --run RUN`."""

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

from src.errors import UserError
from src.runs.find import LOGS, best_checkpoint, find

EVALUATING = ("validate", "test", "predict")
FOUND = "LINENET_RESUMED"  # from the first process of a run to those that it starts


class Command(NamedTuple):
    """A command line: the name of the command, and the words after it."""

    name: str
    after: list[str]

    @property
    def words(self) -> list[str]:
        return [self.name, *self.after]


class Selection(NamedTuple):
    """A command line with the config of the run that it refers to, and the folder of that run."""

    words: list[str]
    folder: Path | None = None


class _Parser(argparse.ArgumentParser):
    """Leaves every error to the parser of all flags, which explains it better."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def select_run(command: Command) -> Selection:
    """Find the run, and put its config in front of what else is given, which overrides it.

    Commands that evaluate a run get its best checkpoint, too.

    Raises:
        UserError: If there is no such run, or --ckpt_path is given with --resume.
    """
    flag = "--run" if command.name in EVALUATING else "--resume"
    try:
        given = _flags(flag).parse_known_args(command.after)[0]
    except ValueError:
        return Selection(command.words)
    if given.run is None:
        return Selection(command.words)
    if flag == "--resume" and given.ckpt_path:
        raise UserError("--resume finds its checkpoint by itself; leave --ckpt_path out.")
    config = given.config[0] if given.config else None
    folder = _of_first_process(find(given.run, Path(config).stem if config else None, flag))
    if folder is None:
        if flag == "--run":
            raise UserError(f"{flag} {given.run}: {LOGS.absolute()} has no run of {config}.")
        print(f"No run of {config} to resume: starting the first.", file=sys.stderr)
        return Selection(command.words)
    found = ["--config", str(folder / "config.yaml")]
    if flag == "--run" and given.run == "latest":
        print(f"The latest run is {folder}.")
    if flag == "--run" and not given.ckpt_path:
        found += ["--ckpt_path", str(best_checkpoint(folder))]
    return Selection([command.name, *found, *command.after], folder)


def _flags(flag: str) -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument(flag, dest="run")
    parser.add_argument("--ckpt_path")
    parser.add_argument("-c", "--config", action="append")
    return parser


def _of_first_process(folder: Path | None) -> Path | None:
    """Return the folder that the first process of a run found: `latest` may differ by now."""
    if int(os.environ.get("LOCAL_RANK", 0)):
        return Path(os.environ[FOUND]) if os.environ.get(FOUND) else folder
    os.environ[FOUND] = str(folder or "")
    return folder
