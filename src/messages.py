"""Errors of the command line in three lines or fewer, with the nearest right names."""

import argparse
import importlib
import inspect
import os
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

import torch
from jsonargparse import DefaultHelpFormatter
from lightning.pytorch import callbacks, loggers
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities.exceptions import MisconfigurationException

import src.data
import src.models
from src.errors import UserError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
MODULES = (src.models, src.data, callbacks, loggers, torch.optim, torch.optim.lr_scheduler)

# The lines of jsonargparse's reports that tell how it searched, not what is wrong.
SEARCH = re.compile(
    r"Parser key|Problem with given|Does not validate|Subtypes:|Errors:|Expected a path but"
    r"|Expected a <class 'NoneType'>|Given value"
)


class HelpFormatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of the description as they are."""


class ShortErrorParser(LightningArgumentParser):
    """A parser that prints what is wrong and what was probably meant, and not its usage."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error or os.environ.get("JSONARGPARSE_DEBUG"):
            super().error(message, ex)  # raises, for jsonargparse itself or for JSONARGPARSE_DEBUG
        parser = getattr(ex, "subcommand_parser", None) or self
        wrong, known = _suspect(message, [action.dest for action in parser._actions])
        near = get_close_matches(wrong, known, n=3)
        hint = f"\nDid you mean {' or '.join(near)}?" if near else ""
        print(f"error: {essence(message)}{hint}", file=sys.stderr)
        raise SystemExit(2)


def user_error(error: BaseException | None) -> str | None:
    """Return what to tell the user of an exception, or None if it is not the user's to mend."""
    while error:  # jsonargparse wraps what a constructor raises
        if isinstance(error, UserError | MisconfigurationException):
            return str(error)
        text = str(error)
        if "loading state_dict" in text:
            return f"The checkpoint does not fit the model: {text.splitlines()[1].strip()}"
        error = error.__cause__
    return None


def essence(message: str) -> str:
    """Return the key, the complaint and the value of a report of jsonargparse, in one line."""
    lines = [line.strip(" -") for line in message.splitlines()]
    said = next((line for line in lines if line and not SEARCH.match(line)), lines[0])
    said = re.sub(r"^Type typing.*expects a function or a callable class: ", "", said)
    said = re.sub(r"\s*Got value: Namespace.*", "", said)
    said = re.sub(r"<class '([\w.]+)'>", r"\1", said).replace("typing.Literal", "one of ")
    said = said.replace("a dot import path string:", "the name of a class, got")
    key = ".".join(re.findall(r'Parser key "([\w.]+)"', message))
    value = re.findall(r"Given value: (\S.*)", message)
    if value and "ot value" not in said and len(value[-1]) < 40 and value[-1] not in said:
        said += f", got {value[-1]}"
    return f"--{key}: {said}" if key else said


def _suspect(message: str, options: list[str]) -> tuple[str, list[str]]:
    """Return the name that a report calls wrong, and the names that would have been right."""
    if match := re.search(r"File does not exist: '(.*)'", message):
        asked = Path(match[1])
        return asked.name, [path.name for path in CONFIGS.rglob("*.yaml")]
    if match := re.search(r"dot import path string: (\w+)", message):
        return match[1], [name for module in MODULES for name in _classes(module)]
    if match := re.search(r"Expected a typing.Literal\[(.*?)\]. Got value: (\w+)", message):
        return match[2], re.findall(r"'(\w+)'", match[1])
    if match := re.search(r"invalid choice: '(\w+)' \(choose from (.*)\)", message):
        return match[1], re.findall(r"\w+", match[2])
    if match := re.search(r"[Oo]ption '([\w.]+)' is not accepted(?! before)", message):
        classes = re.findall(r"class_path[= ]'([\w.]+)'", message.split("Given value")[0])
        return match[1], _parameters(classes[-1]) if classes else options
    if match := re.search(r"(?:unrecognized arguments: |accept option )[-']*([\w.]+)", message):
        return match[1], [*options, "model", "data"]
    return "", []


def _classes(module: object) -> list[str]:
    return [name for name, value in vars(module).items() if inspect.isclass(value)]


def _parameters(class_path: str) -> list[str]:
    """Return the constructor parameters of a class and of the classes it inherits from."""
    module, name = class_path.rsplit(".", 1)
    ancestry = inspect.getmro(getattr(importlib.import_module(module), name))
    known = [cls for cls in ancestry if cls.__module__.startswith(("src.", "torch.", "lightning."))]
    return [parameter for cls in known for parameter in inspect.signature(cls).parameters]
