"""The command `linenet`: the command line, or a tool if the first word names one."""

import re
import runpy
import signal
import sys
from contextlib import nullcontext
from io import TextIOWrapper
from pathlib import Path

from scripts.shared.extras import extra
from src.cli import main as command_line
from src.cli import tool_files
from src.errors import UserError

PACKAGE = __spec__.name.removesuffix("shared.entry")  # `scripts.`, in a wheel `linenet.scripts.`


def main() -> None:
    """Run `linenet ARGS`: what `python -m src.cli ARGS` or, for a tool, `./scripts/run` does.

    Raises:
        SystemExit: With the exit code of the command.
    """
    for stream in (sys.stdout, sys.stderr):  # Windows has few characters in a pipe
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    name = (sys.argv[1:] or [""])[0]
    file = tool_files().get(name)
    try:
        if file:
            start(name, file)
        else:
            command_line()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C while Python ends


def start(name: str, file: Path) -> None:
    """Run a tool as `python -m` does; if it needs a package that is missing, name the extra."""
    sys.argv = [name, *sys.argv[2:]]
    needs = re.search(r"^# extra: *(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    try:
        with extra(needs[1], name) if needs else nullcontext():
            runpy.run_module(f"{PACKAGE}{name}", run_name="__main__", alter_sys=True)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
