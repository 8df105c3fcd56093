"""The parser of the command line: validates every value, and reports errors in a few lines."""

import argparse
import os
import sys
from typing import Any, NoReturn

from jsonargparse import DefaultHelpFormatter, Namespace
from lightning.pytorch.cli import LightningArgumentParser

from src.command.checks import invalid_values
from src.command.config_files import check_file
from src.command.local import is_local, origin
from src.command.messages import explain
from src.local_file import text_for_parser


class HelpFormatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of the description as they are."""


class ShortErrorParser(LightningArgumentParser):
    """A parser whose errors say what is wrong and what was probably meant, without usage."""

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Parse a config file after a check of its size and encoding."""
        check_file(str(path))
        if is_local(path):
            return super().parse_string(text_for_parser(), str(path), *args, **kwargs)
        return super().parse_path(path, *args, **kwargs)

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]
        """Parse the command line, or the arguments of one class, and check every value."""
        config = super().parse_args(*args, **kwargs)
        for key, complaint in invalid_values(config):
            self.error(f'Parser key "{key}": {complaint}')
        return config

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error or os.environ.get("JSONARGPARSE_DEBUG"):
            super().error(message, ex)  # raises: jsonargparse tries several types
        parser = getattr(ex, "subcommand_parser", None) or self
        print(f"error: {explain(message, parser)}{origin(message)}", file=sys.stderr)
        raise SystemExit(2)
