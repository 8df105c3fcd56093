"""Reads config files: plain YAML values, with file and line in every error."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from src.arguments import LINKED
from src.places import named_here

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LARGEST = 1_000_000  # bytes; a config has a thousand
MOST_ALIASES = 100
BASE_60 = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")  # of a plain 1:30, which is 90
MOST_LEVELS = 100
MOST_VALUES = 100_000  # with every alias written out: nine lines of nine aliases are 387 million


def read_strictly() -> None:
    """Make the parser validate YAML by this module before it loads it."""
    loader = jsonargparse.get_loader("yaml")
    if not isinstance(loader, StrictLoader):
        jsonargparse.set_loader("yaml", StrictLoader(loader), (yaml.YAMLError,))


def check_file(path: str) -> None:
    """Refuse a file that is too large or not text before it is parsed.

    Raises:
        TypeError: The type that the parser expects for a wrong value.
    """
    if not Path(path).is_file():  # the parser reports that
        return
    if Path(path).stat().st_size > LARGEST:
        raise TypeError(f"{path} has over {LARGEST:,} bytes; a config has about a thousand.")
    try:
        Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TypeError(f"{path} is not a text file; expected YAML in UTF-8.") from error


class StrictLoader:
    """Validates the structure of a YAML text before the loader turns it into values."""

    def __init__(self, load: Callable[[str], Any]) -> None:
        self.load = load

    def __call__(self, text: str, path: str = "") -> Any:
        """Return the values of a YAML text; `path` names its file in error messages.

        Raises:
            yaml.YAMLError: In one line, if the text is not YAML or not a mapping of settings.
        """
        try:
            _check_depth(text)
            # A plain value from the command line has neither keys nor aliases to check.
            root = yaml.compose(text, Loader=LOADER) if ":" in text or "*" in text else None
            if root:
                _check(root, Counter(), {})
            values = named_here(self.load(text))
        except (yaml.YAMLError, RecursionError) as error:
            raise yaml.YAMLError(_where(error, path) + _what(error)) from error
        if path and not isinstance(values, dict):
            raise yaml.YAMLError(f"{path} has no settings; expected lines such as model: LeNet")
        if isinstance(values, dict) and (name := next(_linked(values), None)):
            raise yaml.YAMLError(f"{path or 'model'}: leave out {name}, since {LINKED[name]}")
        return values


def _linked(values: dict[str, Any]) -> Iterator[str]:
    """Yield the settings in a config whose values come from elsewhere: the parser drops them.

    The config may also be that of the model alone, with class_path and init_args.
    """
    for name in LINKED:
        part, _, key = name.partition(".")
        given = values if part == "model" and "class_path" in values else values.get(part)
        arguments = given.get("init_args") if isinstance(given, dict) else None
        if any(isinstance(one, dict) and key in one for one in (given, arguments)):
            yield name


def _check_depth(text: str) -> None:
    """Refuse a text with too many levels before a recursive function reads it, and may crash."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_LEVELS:
            problem = "nested too deeply"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _check(node: yaml.Node, seen: Counter[str], sizes: dict[int, int]) -> int:
    """Return how many values a node has with its aliases written out; refuse too many."""
    if id(node) in sizes:  # an alias; 0 within its own anchor, which is still being counted
        seen["aliases"] += 1
        if not sizes[id(node)] or seen["aliases"] > MOST_ALIASES:
            raise _error(node, f"over {MOST_ALIASES} aliases, or one within itself")
        return sizes[id(node)]
    if isinstance(node, yaml.ScalarNode) and ":" in node.value and node.tag in BASE_60:
        raise _error(node, f"YAML takes {node.value} for a number of base 60: put it into quotes")
    sizes[id(node)] = 0
    sizes[id(node)] = 1 + sum(_check(part, seen, sizes) for part in _parts(node))
    if sizes[id(node)] > MOST_VALUES:
        raise _error(node, f"over {MOST_VALUES:,} values once its aliases are written out")
    return sizes[id(node)]


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """Return the child nodes of a node, after a check for duplicate keys."""
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_keys(node: yaml.MappingNode) -> None:
    known: dict[Any, yaml.Node] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in known:
                line = known[key.value].start_mark.line + 1
                raise _error(key, f"{key.value} is given twice, before in line {line}")
            known[key.value] = key


def _error(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _where(error: Exception, path: str) -> str:
    mark = getattr(error, "problem_mark", None)
    place = [path] if path else []
    place += [f"line {mark.line + 1}"] if mark else []
    return ", ".join(place) + ": " * bool(place)


def _what(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(getattr(error, "problem", None) or error).splitlines()[0]
