"""Explains which extra of pyproject.toml a tool needs, where a package is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from src.errors import UserError
from src.places import to_install


@contextmanager
def extra(name: str, tool: str) -> Iterator[None]:
    """Explain how to install the extra if an import within this context fails.

    Args:
        name: Name of the extra in pyproject.toml.
        tool: Name of the tool that needs it.

    Raises:
        UserError: If a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).startswith(("src", "linenet", "scripts", tool)):
            raise  # a module of this project is missing, not a package
        raise UserError(
            f"{tool} needs {error.name}, which is not installed.\nInstall it: {to_install(name)}"
        ) from error
