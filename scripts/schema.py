"""Writes the JSON schema of configs, for completion and checks in an editor.

    ./scripts/run schema configs/schema.json

Without a file it is printed. In VS Code with the YAML extension, name it in the settings,

    "yaml.schemas": {"configs/schema.json": ["configs/*.yaml", "configs/with/*.yaml"]}

or in the first line of a config: `# yaml-language-server: $schema=schema.json`. The schema has each
key with its type, and the arguments of each model, data set, optimizer, scheduler and callback.
"""

import argparse
import dataclasses
import inspect
import json
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import src.libraries  # (first)

# isort: split
import torch
from lightning.pytorch import (
    LightningDataModule,
    LightningModule,
    Trainer,
    callbacks,
    loggers,
    profilers,
)
from lightning.pytorch.cli import ReduceLROnPlateau
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

import src.data
import src.models
from src.arguments import LINKED
from src.callbacks import Figures
from src.callbacks.best_checkpoint import BestCheckpoint
from src.files import write_whole
from src.ranges import Seed

Schema = dict[str, Any]
CLASSES = {  # the type of an argument, and where the classes are that a config may name for it
    callbacks.Callback: callbacks, loggers.Logger: loggers, profilers.Profiler: profilers,
    Optimizer: torch.optim, LRScheduler: torch.optim.lr_scheduler,
}  # fmt: skip
OWN = {"ReduceLROnPlateau": ReduceLROnPlateau}  # Lightning's has a `monitor`, torch's has none
SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def schema() -> Schema:
    """Return the JSON schema of a config of `fit`."""
    parts = {"checkpoint": BestCheckpoint, "figures": Figures, "trainer": Trainer}
    keys: Schema = {
        "seed_everything": of_type(Seed),
        "report": {"type": "boolean"},
        "tag": of_type(list[str]),
        "note": of_type(str | None),
        "folder": of_type(str | None),
        "threads": of_type(int | None),
        "ckpt_path": {"type": ["string", "null"]},
        "resume": {"type": ["string", "null"]},
        "weights_only": {"type": ["boolean", "null"]},
        "model": one_of(LightningModule, src.models, linked("model")),
        "data": one_of(LightningDataModule, src.data, linked("data")),
        **{name: arguments(part, linked(name)) for name, part in parts.items()},
    }
    return {"$schema": "http://json-schema.org/draft-07/schema#", **object_of(keys)}


def object_of(keys: Schema) -> Schema:
    return {"type": "object", "properties": keys, "additionalProperties": False}


def linked(part: str) -> set[str]:
    """Return the keys of a part of a config whose values come from elsewhere."""
    start = f"{part}."
    return {name.removeprefix(start) for name in LINKED if name.startswith(start)}


def one_of(base: type, module: types.ModuleType, without: Iterable[str] = ()) -> Schema:
    """Return the schema of a subclass in a module: its name, or class_path and init_args.

    An overlay may leave out the class; then the arguments of all classes are accepted. Those of
    other classes, which a user gives by their dotted names, are unknown.
    """
    known = {name: arguments(OWN.get(name, cls), without) for name, cls in classes(base, module)}
    dotted = {"type": "string", "pattern": r"\."}  # a class of another package, or a file
    names = {"anyOf": [{"enum": [*known]}, dotted, {"type": "null"}]}
    spec = object_of({"class_path": names, "init_args": {"type": "object"}, "dict_kwargs": {}})
    spec["allOf"] = [
        {
            "if": {
                "properties": {"class_path": {"type": "string", "pattern": rf"^(.*\.)?{name}$"}},
                "required": ["class_path"],
            },
            "then": {"properties": {"init_args": init_args}},
        }
        for name, init_args in known.items()
    ]
    of_any = object_of(merged([init_args["properties"] for init_args in known.values()]))
    unnamed = {"not": {"required": ["class_path"]}}
    spec["allOf"] += [{"if": unnamed, "then": {"properties": {"init_args": of_any}}}]
    return {"anyOf": [names, spec]}


def merged(several: list[Schema]) -> Schema:
    """Return the keys of several objects, each with the types that it has in any of them."""
    found: dict[str, list[Schema]] = {}
    for keys in several:
        for name, one in keys.items():
            kinds = found.setdefault(name, [])
            kinds += [one] * (one not in kinds)
    return {name: {"anyOf": kinds} for name, kinds in found.items()}


def classes(base: type, module: types.ModuleType) -> Iterator[tuple[str, type]]:
    """Yield the public subclasses in a module, by name."""
    for name, value in vars(module).items():
        subclass = inspect.isclass(value) and issubclass(value, base) and value is not base
        if subclass and not name.startswith("_"):
            yield name, value


def arguments(cls: type, without: Iterable[str] = ()) -> Schema:
    """Return the schema of the arguments of a class, with those it passes on to its bases.

    What an optimizer and a scheduler are made for is left out, as the keys `without` are.
    """
    found, passes_on = {}, False
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        hints = hints_of(base.__init__)
        for one in parameters:
            hint = hints.get(one.name, Any)
            given = one.name not in ("self", "params", *without) and not made_of(hint)
            if given and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
                found.setdefault(one.name, of_type(hint))
                if is_list(found[one.name]):
                    found[f"{one.name}+"] = {}  # adds to the list of an earlier config
        passes_on = any(one.kind is one.VAR_KEYWORD for one in parameters)
        if not passes_on:
            break
    return {**object_of(found), "additionalProperties": passes_on}  # to what is not known here


def is_list(one: Schema) -> bool:
    return one.get("type") == "array" or any(map(is_list, one.get("anyOf", [])))


def made_of(hint: Any) -> bool:
    """Return whether an argument is an optimizer or a list of schedulers: no config has one."""
    return hint is Optimizer or LRScheduler in get_args(hint)


def hints_of(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError):  # a hint names what is imported for type checkers only
        return {}


def of_type(hint: Any) -> Schema:
    """Return the schema of a type; one that is not described accepts anything."""
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return arguments(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [of_type(arg) for arg in args if arg is not torch.Tensor]}
    if origin is Literal:
        return {"enum": [*args]}
    if origin in (list, Sequence, Iterable):
        return {"type": "array", "items": of_type(args[0])}
    if origin is Callable and args:
        return of_type(args[-1])
    for base in hint.__mro__ if inspect.isclass(hint) else ():
        if base in CLASSES:
            return one_of(base, CLASSES[base])
        if base in SIMPLE:
            return {"type": SIMPLE[base]}
    return {}


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, help="where to write it")
    options = parser.parse_args(args)
    text = json.dumps(schema(), indent=1) + "\n"
    if options.file is None:
        sys.stdout.write(text)
        return
    write_whole(options.file, text)
    print(f"Written: {options.file}")


if __name__ == "__main__":
    main()
