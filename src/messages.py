"""Errors of the command line in three lines or fewer, with the nearest right names."""

import argparse
import errno
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import torch
from jsonargparse import DefaultHelpFormatter, Namespace
from lightning.pytorch import callbacks, loggers
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities.exceptions import MisconfigurationException

import src.data
import src.models
from src.config_files import check_file
from src.errors import UserError
from src.imports import refusal
from src.ranges import misfits

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
MODULES = (src.models, src.data, callbacks, loggers, torch.optim, torch.optim.lr_scheduler)

SPEC = ["class_path", "init_args", "dict_kwargs"]  # how a config names a class and its arguments

# The lines of jsonargparse's reports that tell how it searched, not what is wrong.
SEARCH = re.compile(
    r"Problem with given|Does not validate|Subtypes:|Errors:|Expected a path but"
    r"|Expected a <class 'NoneType'>|Given value|Importing '|$"
)
UNKNOWN = re.compile(r"(?:unrecognized arguments: -*|[Oo]ption ')([\w.+]+)(?!.*accepted before)")
NO_SPEC = re.compile(r"(?:but got|Not a valid subclass[\s\S]*Given value:) ({.*)")
# What is left out of a line, or said in other words.
WORDS = (
    (r"Type typing\..*expects a function or a callable class: ", ""),
    (r'Parser key "[\w.]+":\s*|Problems parsing config: ', ""),
    (r"\.? Got value: (Namespace|NestedArg)\(.*", ""),
    (r"Not of type \w+: (.*) does not conform to restriction", r"\1 is out of range: expected"),
    (r"Not of type \w+: does not conform to restriction", "Expected a number"),
    (r"\bv([<>])", r"\1"),
    (r"(Not of type \w+): (?:could not|invalid literal).*: '([^']+)'", r"\1, got \2"),
    (r"(Not of type \w+): (could|invalid|float|int).*", r"\1"),
    (r"<class '([\w.]+)'>", r"\1"),
    (r"typing\.Literal", "one of "),
    (r"a dot import path string:", "the name of a class, got"),
)


class HelpFormatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of the description as they are."""


class ShortErrorParser(LightningArgumentParser):
    """A parser that prints what is wrong and what was probably meant, and not its usage."""

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Parse a config file, if it is a text file of the size of one."""
        check_file(str(path))
        return super().parse_path(path, *args, **kwargs)

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]
        """Parse the command line, or what is given of one class, and look at every value."""
        config = super().parse_args(*args, **kwargs)
        for key, complaint in misfits(config):
            self.error(f'Parser key "{key}": {complaint}')
        return config

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error or os.environ.get("JSONARGPARSE_DEBUG"):
            super().error(message, ex)  # raises, for jsonargparse itself or for JSONARGPARSE_DEBUG
        parser = getattr(ex, "subcommand_parser", None) or self
        print(f"error: {explain(message, parser)}", file=sys.stderr)
        raise SystemExit(2)


def explain(message: str, parser: LightningArgumentParser) -> str:
    """Return a report of jsonargparse in three lines or fewer, with the nearest right names."""
    given = message.rpartition("Given value:")[2]
    for path in re.findall(r"Importing '([\w.]+)' is not allowed", message):
        if path.rpartition(".")[2] in given:  # and not what the parser itself has tried
            return refusal(path)
    wrong, known = _suspect(message, [action.dest for action in parser._actions])
    near = nearest(wrong, known)
    return essence(message) + (f"\nDid you mean {' or '.join(near)}?" if near else "")


def nearest(wrong: str, known: list[str]) -> list[str]:
    """Return up to three known names like a wrong one; of a dotted name, the head may be wrong."""
    wrong = wrong.rstrip("+")
    head, _, rest = wrong.partition(".")
    heads = {name.partition(".")[0] for name in known}
    mended = {f"{right}.{rest}" for right in heads if rest and head not in heads}
    return get_close_matches(wrong, sorted({*known, *mended}), n=3, cutoff=0.5)


def user_error(error: BaseException | None) -> str | None:
    """Return what to tell the user of an exception, or None if it is not the user's to mend."""
    if os.environ.get("JSONARGPARSE_DEBUG"):
        return None
    report = str(error)
    while error:  # jsonargparse wraps what a constructor raises
        if isinstance(error, UserError | MisconfigurationException):
            return str(error)
        text = str(error)
        if "loading state_dict" in text:
            return f"The checkpoint does not fit the model: {text.splitlines()[1].strip()}"
        if "`val_check_interval`" in text:
            return f"--trainer.val_check_interval: {text.strip().splitlines()[0]}"
        if match := re.search(r"allocate (?:memory: you tried to allocate )?(\d+) bytes", text):
            return f"Not enough memory: {int(match[1]) / 1e9:.1f} GB are asked for; give less."
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return f"Not enough memory: {text.splitlines()[0] if text else 'give less'}"
        if isinstance(error, OSError) and error.errno in DISK:
            return (
                f"{error.filename or 'A file of the run'} cannot be used: {error.strerror}.\n"
                "Checkpoints are whole: mend it, and go on with fit --resume FOLDER."
            )
        error = error.__cause__
    if report.startswith(("Does not validate", "Problem with given")):  # a constructor refuses
        return f"{essence(report)}\nTo see where, set the environment variable JSONARGPARSE_DEBUG."
    return None


@contextmanager
def in_words() -> Iterator[None]:
    """End the program with code 1 and in words where the user can mend what went wrong.

    Raises:
        SystemExit: In place of such an error.
    """
    try:
        yield
    except Exception as error:
        known = user_error(error)
        if known is None:
            raise  # a fault of the program, or of a class of the user's own: show where
        print(f"error: {known}", file=sys.stderr)
        raise SystemExit(1) from None


def essence(message: str) -> str:
    """Return the key, the complaint and the value of a report of jsonargparse, in one line."""
    said = _complaint(message)
    key = ".".join(re.findall(r'Parser key "(?:fit\.)?([\w.]+)"', message))
    key = key.replace("init_args.", "")
    value = re.findall(r"Given value: (?:NestedArg\(.*val=)?'?(.+?)'?\)?$", message, re.MULTILINE)
    if value and re.match("Not of type|Expected", said) and "got" not in said.lower():
        said += f", got {shortened(value[-1])}"
    return f"--{key}: {said}" if key else said


def _complaint(message: str) -> str:
    """Return the first line that tells what is wrong, in plain words."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    for pattern, words in WORDS:
        lines = [re.sub(pattern, words, line) for line in lines]
    return shortened(next((line for line in lines if not SEARCH.match(line)), lines[0]), 300)


def shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


def _suspect(message: str, options: list[str]) -> tuple[str, list[str]]:
    """Return the name that a report calls wrong, and the names that would have been right."""
    if match := re.search(r"File does not exist: '(.*)'", message):
        asked = Path(match[1])
        return asked.name, [path.name for path in CONFIGS.rglob("*.yaml")]
    if match := re.search(r"the name of a class, got (\w+)", _complaint(message)):
        return match[1], [name for module in MODULES for name in _classes(module)]
    if match := re.search(r"Expected a typing.Literal\[(.*?)\]. Got value: (\w+)", message):
        return match[2], re.findall(r"'(\w+)'", match[1])
    if match := re.search(r"invalid choice: '(\w+)' \(choose from (.*)\)", message):
        return match[1], re.findall(r"\w+", match[2])
    if match := UNKNOWN.search(message):
        classes = re.findall(r"class_path[= ]'(\w+\.[\w.]+)'", message.split("Given value")[0])
        known = (
            [*SPEC, "help", *_parameters(classes[-1])] if classes else [*options, "model", "data"]
        )
        return match[1], known
    if match := NO_SPEC.search(message):
        keys = set(re.findall(r"'(\w+)': ", match[1])) - set(SPEC)
        return next((key for key in keys if get_close_matches(key, SPEC, cutoff=0.8)), ""), SPEC
    return "", []


def _classes(module: object) -> list[str]:
    return [name for name, value in vars(module).items() if inspect.isclass(value)]


def _parameters(class_path: str) -> list[str]:
    """Return the constructor parameters of a class and of the classes it inherits from."""
    module, name = class_path.rsplit(".", 1)
    ancestry = getattr(getattr(importlib.import_module(module), name), "__mro__", ())
    known = [cls for cls in ancestry if cls.__module__.startswith(("src.", "torch.", "lightning."))]
    return [parameter for cls in known for parameter in inspect.signature(cls).parameters]
