"""The entry of the command line: `python -m src.cli COMMAND ...`.

Help, versions and a mistyped command are answered here at once; only then are torch and Lightning
imported, which takes three seconds.
"""

import ast
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from src.arguments import completed, meant, slip
from src.places import INSTALLED, PROJECT, TOOLS

COMMANDS = {
    "fit": "Train a model, then test the checkpoint that validation chose.",
    "validate": "Evaluate a run on its validation set.",
    "test": "Evaluate a run on its test set.",
    "predict": "Write the predictions of a run for its test set, or for your own images.",
}
# Flags that say what to evaluate, or what help to print.
CHOOSING = ("--run", "-c", "--config", "--model", "--data.help", "-h", "--help", "--print_config")
OTHER_NAMES = {"train": "fit", "eval": "test", "evaluate": "test"}  # what others call them
OF_A_CLONE = ("bench", "faults", "notebooks", "pictures", "results", "setup")  # not in a wheel
USAGE = "python -m src.cli COMMAND ...      or: ./scripts/run COMMAND-OR-TOOL"
HELP = """usage: {usage} ...

From a line to LeNet. Commands:
{commands}
Tools{by}:
{tools}
For example:
  python -m src.cli fit --config configs/mnist_mlp.yaml
  python -m src.cli fit --config configs/mnist_mlp.yaml --model.hidden [300,100]
  python -m src.cli test --run lightning_logs/mnist_mlp/version_0
All flags of a command: python -m src.cli fit --help; of a model: fit --model.help ReLUMLP
"""


def main(args: Sequence[str] | None = None, cli: Callable[..., Any] | None = None) -> None:
    """Run one command, e.g. `main(["fit", "--config", "configs/mnist_mlp.yaml"])`.

    Args:
        args: The words of the command; by default those of the command line.
        cli: The class that runs it: tools give a subclass of ExperimentCLI.

    Raises:
        SystemExit: With code 2 for a wrong command line, 1 for other errors that the user can fix,
            128 + n for signal n.
    """
    name, after = parse([*sys.argv[1:]] if args is None else [*args])

    from src.command.experiment import Command, ExperimentCLI, run_command

    run_command(Command(name, after), cli or ExperimentCLI)


def parse(words: list[str]) -> tuple[str, list[str]]:
    """Return the command and the words after it.

    Raises:
        SystemExit: If help or versions were asked for, or the command line has no valid command.
    """
    command, after = (words or ["--help"])[0], words[1:]
    if command == "--version":
        print(versions())
        raise SystemExit(0)
    if command in ("-h", "--help"):
        print(help_text(), end="")
        raise SystemExit(0 if words else 2)
    if command not in COMMANDS:
        fail(unknown(command, words))
    if command != "fit" and not any(word.startswith(CHOOSING) for word in after):
        fail(f"{command} needs a run: give --run lightning_logs/NAME/version_N, or latest.")
    after = completed(after)
    if message := slip(command, after):
        fail(message)
    return command, after


def help_text() -> str:
    usage, by = ("linenet COMMAND-OR-TOOL", "") if INSTALLED else (USAGE, ", by ./scripts/run")
    return HELP.format(usage=usage, by=by, commands=listed(COMMANDS), tools=listed(tools()))


def fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def unknown(command: str, words: list[str]) -> str:
    """Return the message for a command line that does not start with a known command."""
    if not command:
        return "the command is empty.\nExpected fit, another command, or a tool; see --help"
    if near := get_close_matches(command, ["--version", "--help"], n=1):
        return f"there is no option {command}.\nDid you mean {near[0]}?"
    if command.startswith("-"):
        given = [word for word in words if word in COMMANDS][:1] or ["fit"]
        others = [word for word in words if word not in given]
        return f"the command comes first, before {command}.\n{meant(given[0], others)}"
    if command in tools():
        return f"{command} is a tool.\nStart it with ./scripts/run {command}"
    if command in OF_A_CLONE:
        start = command if command == "setup" else f"run {command}"
        return f"{command} is for a clone of the project.\nStart it there with scripts/{start}"
    near = get_close_matches(command, [*COMMANDS, *tools(), *OTHER_NAMES], n=1) or [*COMMANDS]
    near = [OTHER_NAMES.get(name, name) for name in near]
    if near[0] in COMMANDS and words[1:]:
        return f"there is no command {command!r}.\n{meant(near[0], words[1:])}"
    return f"there is no command {command!r}.\nDid you mean {' or '.join(near)}?"


def tool_files() -> dict[str, Path]:
    """Return the file of each tool in scripts/, by name."""
    alone = {path.stem: path for path in TOOLS.glob("*.py")}
    return alone | {path.parent.name: path for path in TOOLS.glob("*/__main__.py")}


def tools() -> dict[str, str]:
    """Return the name of each tool in scripts/, and the first line of its docstring."""
    files = tool_files()
    texts = {name: files[name].read_text(encoding="utf-8") for name in sorted(files)}
    docs = {name: ast.get_docstring(ast.parse(text)) for name, text in texts.items()}
    return {name: (text or "").partition("\n")[0] for name, text in docs.items()}


def listed(entries: dict[str, str]) -> str:
    return "".join(f"  {name:<10} {text}\n" for name, text in entries.items())


def versions() -> str:
    """Return the versions of this project, with its git commit, and of torch and Lightning."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--exclude=*"]
    commit = "not in git"  # a wheel may be installed within someone's own project
    if (PROJECT / ".git").exists():
        with suppress(OSError, subprocess.CalledProcessError):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            commit = done.stdout.strip()
    lines = [f"{name} {version(name)}" for name in ("linenet", "torch", "lightning")]
    return "\n".join([f"{lines[0]} ({commit})", *lines[1:]])


if __name__ == "__main__":
    try:
        main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C while Python ends
