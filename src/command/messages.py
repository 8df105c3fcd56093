"""Shortens error reports of jsonargparse to at most three lines and suggests similar names."""

import importlib
import inspect
import re
from difflib import get_close_matches
from pathlib import Path

import torch
from lightning.pytorch import callbacks, loggers
from lightning.pytorch.cli import LightningArgumentParser

import src.data
import src.models
from src.arguments import OTHER_FLAGS
from src.imports import refusal
from src.places import CONFIGS, NAME
from src.ranges import KINDS

MODULES = (src.models, src.data, callbacks, loggers, torch.optim, torch.optim.lr_scheduler)

SPEC = ["class_path", "init_args", "dict_kwargs"]  # keys of a class and its arguments in a config

# Lines of a report that list attempts instead of the error.
SEARCH = re.compile(
    r"Problem with given|Does not validate|Subtypes:|Errors:|Expected a path but"
    r"|Expected a <class 'NoneType'>|Given value|Importing '|$"
)
UNKNOWN = re.compile(r"(?:unrecognized arguments: -*|[Oo]ption ')([\w.+]+)(?!.*accepted before)")
# A list that was first taken for a single class; what is wrong with one of its items comes later.
AS_ONE = re.compile(r"Not a valid subclass of \w+\. Got value: \[[\s\S]*?(?=Problem with given)")
LIST = re.compile(r"Expected a list, got (\d+)$")
OTHER_FILES = ("sweeps", "defaults", "local")  # in configs/
MISSING_FILE = re.compile(r"File does not exist: '(.*)'")
NO_SPEC = re.compile(r"(?:but got|Not a valid subclass[\s\S]*Given value:) ({.*)")
# Patterns and their replacements in the line with the error.
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
    (r"Expected a collections.abc.Sequence. Got value:", "Expected a list, got"),
    (r"a dot import path string:", "the name of a class, got"),
)


def explain(message: str, parser: LightningArgumentParser) -> str:
    """Return an error message of at most three lines, with the most similar known names."""
    given = message.rpartition("Given value:")[2]
    for path in re.findall(r"Importing '([\w.]+)' is not allowed", message):
        if path.rpartition(".")[2] in given:  # the parser also reports its own imports
            return refusal(path)
    told = essence(message)
    if match := LIST.search(told):
        return f"{told}\nDid you mean [{match[1]}]?"
    wrong, known = _suspect(message, [*parser.get_defaults().keys(branches=True)])
    ours = OTHER_FLAGS.get(wrong, "")
    typed = told.startswith(f"--{ours.rpartition('.')[0]}: ")  # ours already: the class lacks it
    near = [f"--{ours}"] if ours and not typed else nearest(wrong, known)
    near = configs_like(match[1]) if (match := MISSING_FILE.search(message)) else near
    return told + (f"\nDid you mean {' or '.join(near)}?" if near else "")


def nearest(wrong: str, known: list[str]) -> list[str]:
    """Return up to three known names similar to a wrong one, whose first part may be wrong."""
    wrong = wrong.rstrip("+")
    head, _, rest = wrong.partition(".")
    heads = {name.partition(".")[0] for name in known}
    corrected = {f"{right}.{rest}" for right in heads if rest and head not in heads}
    return get_close_matches(wrong, sorted({*known, *corrected} - {wrong}), n=3, cutoff=0.5)


def configs_like(path: str) -> list[str]:
    """Return up to three shipped configs whose names are similar to a file's, for --config."""
    files = [file.relative_to(CONFIGS).with_suffix("") for file in CONFIGS.rglob("*.yaml")]
    names = {file.stem: file.as_posix() for file in files if file.parts[0] not in OTHER_FILES}
    return [names[stem] for stem in get_close_matches(Path(path).stem, sorted(names), n=3)]


def essence(message: str) -> str:
    """Return the key, error and value of a jsonargparse report in one line."""
    error = _complaint(message)
    key = ".".join(re.findall(r'Parser key "(?:fit\.)?([\w.]+)"', message))
    key = key.replace("init_args.", "")
    value = re.findall(r"Given value: (?:NestedArg\(.*val=)?'?(.+?)'?\)?$", message, re.MULTILINE)
    if value and error.startswith("Expected") and "got" not in error.lower():
        error += f", got {shortened(value[-1])}"
    return f"--{key}: {error}" if key else error


def _complaint(message: str) -> str:
    """Return the first line of a report that describes the error, reworded."""
    lines = [line.strip().removeprefix("- ") for line in AS_ONE.sub("", message).splitlines()]
    for pattern, words in WORDS:
        lines = [re.sub(pattern, words, line) for line in lines]
    lines = [re.sub(r"Not of type (\w+)", _expected, line) for line in lines]
    return shortened(next((line for line in lines if not SEARCH.match(line)), lines[0]), 300)


def _expected(match: re.Match[str]) -> str:
    return f"Expected {KINDS.get(match[1], match[1])}"


def shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


def _suspect(message: str, options: list[str]) -> tuple[str, list[str]]:
    """Return the wrong name in a report, and the names allowed in its place."""
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
    known = [
        cls for cls in ancestry if cls.__module__.startswith((f"{NAME}.", "torch.", "lightning."))
    ]
    return [parameter for cls in known for parameter in inspect.signature(cls).parameters]
