"""Prints a script that completes commands, flags and files in a shell.

    eval "$(./scripts/run completion bash)"
    eval "$(./scripts/run completion zsh)"

The Tab key then completes what is typed after ./scripts/run or linenet. The line holds for the
shell that it is typed in; put it into ~/.bashrc or ~/.zshrc for all.
"""

# extra: completion
import argparse
from collections.abc import Iterator, Sequence

import shtab

from scripts.schema import Schema, schema
from src.cli import COMMANDS, tools
from src.places import CONFIGS

# A zsh without a framework, as on macOS, has not loaded what the script is registered with.
PREAMBLE = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }"}
ALSO = {  # the other name of the program
    "bash": "complete -o bashdefault -F _shtab_run linenet",
    "zsh": "compdef _shtab_run linenet",
    "fish": "complete -c linenet -w run",
}
OF_FIT = ("seeds", "folds", "sweep", "lr_find")  # tools that take the flags of fit
CONFIG = {**shtab.FILE, "bash": "_linenet_configs"}  # by name, or a file
BASH = """
_linenet_configs() {{
    compgen -W "{names}" -- "$1"
    compgen -f -- "$1"
}}
"""


def parser() -> argparse.ArgumentParser:
    """Return a parser with all commands and flags, which only serves to list them."""
    found = argparse.ArgumentParser(prog="run")
    commands = found.add_subparsers(dest="command")
    known = {flag: [*choices(one)] for flag, one in flags(schema())}
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        add(command, "--config", complete=CONFIG)
        add(command, "--print_config")
        add(command, "--resume" if name == "fit" else "--run", complete=shtab.DIRECTORY)
        if name == "predict":
            add(command, "--images", complete=shtab.FILE)
        for flag, values in known.items():
            if flag != "--resume":
                add(command, flag, values)
    for name, text in tools().items():
        tool = commands.add_parser(name, help=text.replace("`", ""))
        tool.add_argument("files", nargs="*").complete = shtab.FILE  # type: ignore[attr-defined]
        if name in OF_FIT:
            add(tool, "--config", complete=CONFIG)
    return found


def add(
    command: argparse.ArgumentParser, flag: str, values: Sequence[str] = (), **options: object
) -> None:
    """Add a flag with the values that are suggested."""
    action = command.add_argument(flag, choices=values or None)
    for name, value in options.items():
        setattr(action, name, value)


def flags(one: Schema, start: str = "--") -> Iterator[tuple[str, Schema]]:
    """Yield each flag of an object, a class or a list, with the schema of its values."""
    for part in parts(one):
        yield from flags(part, start)
    if "class_path" in one.get("properties", {}):
        one = one["allOf"][-1]["then"]["properties"]["init_args"]  # the arguments of all classes
    for name, value in one.get("properties", {}).items():
        yield f"{start}{name}", value
        yield from flags(value, f"{start}{name}.")


def parts(one: Schema) -> list[Schema]:
    """Return the alternatives of a schema, and the schema of an item if it is a list."""
    return [*one.get("anyOf", []), *([one["items"]] if "items" in one else [])]


def choices(one: Schema) -> Iterator[str]:
    """Yield the values among which one is chosen."""
    if one.get("type") == "boolean":
        yield from ("true", "false")
    yield from (str(value) for value in one.get("enum", []))
    for part in parts(one):
        yield from choices(part)


def config_names() -> list[str]:
    """Return the names of the shipped configs, such as `mnist_lenet` and `with/fast`."""
    files = [path.relative_to(CONFIGS).with_suffix("") for path in CONFIGS.rglob("*.yaml")]
    return sorted(name.as_posix() for name in files if name.parts[0] not in ("sweeps", "defaults"))


def main(args: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    shell = options.parse_args(args).shell
    preamble = {**PREAMBLE, "bash": BASH.format(names=" ".join(config_names()))}
    script = shtab.complete(parser(), shell=shell, preamble=preamble)
    print(f"{script}\n{ALSO.get(shell, '')}")


if __name__ == "__main__":
    main()
