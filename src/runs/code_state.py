"""The state of the project's code: its git commit, and what is not committed."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from src.places import PROJECT

CODE = ("src", "configs", "scripts", "pyproject.toml")
LARGEST = 1_000_000  # bytes of a new file, and of a patch; larger ones are no code
DIFF = ("diff", "HEAD", "--binary", "--no-color", "--no-ext-diff", "--no-textconv",
        "--src-prefix=a/", "--dst-prefix=b/", "--", *CODE)  # fmt: skip


@cache  # the code of a process is that of its start
def git_state() -> dict[str, str | bool] | None:
    """Return the git commit of this project and whether its code has changes; None outside git."""
    if not (PROJECT / ".git").exists():  # a wheel may be installed within someone's own project
        return None
    try:
        changed = git("status", "--porcelain", "--", *CODE)
        return {"commit": git("rev-parse", "HEAD").decode().strip(), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def changes() -> bytes:
    """Return what is not committed as a patch for `git apply`, new files included.

    It is empty if nothing has changed, outside git, or if the patch is too large to be code.
    """
    try:
        patch = _patch() if (git_state() or {}).get("dirty") else b""
    except (OSError, subprocess.CalledProcessError):
        return b""
    return patch if len(patch) <= LARGEST else b""


def git(*arguments: str | bytes, index: Path | None = None) -> bytes:
    """Return what a git command prints; `index` is used instead of that of the project."""
    environment = {**os.environ, **({"GIT_INDEX_FILE": str(index)} if index else {})}
    command = ["git", "-C", str(PROJECT), *arguments]
    return subprocess.run(command, capture_output=True, check=True, env=environment).stdout


def _patch() -> bytes:
    """Return the patch, by a copy of the index in which new files are announced."""
    with TemporaryDirectory() as folder:
        index = Path(folder, "index")
        shutil.copy(PROJECT / os.fsdecode(git("rev-parse", "--git-path", "index").strip()), index)
        if new := _new_files():
            git("add", "--intent-to-add", "--", *new, index=index)
        return git(*DIFF, index=index)


def _new_files() -> list[str]:
    """Return the files that git neither has nor ignores, without those that are no code."""
    listed = git("ls-files", "--others", "--exclude-standard", "-z", "--", *CODE)
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    return [name for name in names if (PROJECT / name).stat().st_size <= LARGEST]
