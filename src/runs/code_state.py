"""The state of the project's code: its git commit, and what is not committed."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from src.places import PROJECT

CODE = ("src", "configs", "scripts", "pyproject.toml")
LARGEST = 1_000_000  # bytes of a new file, and of a patch; larger ones are no code
DIFF = ("diff", "HEAD", "--binary", "--no-color", "--no-ext-diff", "--no-textconv",
        "--src-prefix=a/", "--dst-prefix=b/", "--", *CODE)  # fmt: skip


class Changes(NamedTuple):
    """What is not committed.

    Attributes:
        patch: For `git apply`, new files included; empty if there is none.
        missing: What the patch lacks, or why there is none; empty if it is whole.
    """

    patch: bytes = b""
    missing: str = ""


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
def changes() -> Changes:
    """Return what is not committed; nothing outside git."""
    if not (git_state() or {}).get("dirty"):
        return Changes()
    try:
        new = _new_files()
        code = [name for name in new if _is_code(PROJECT / name)]
        patch = _patch(code)
    except subprocess.CalledProcessError as error:
        told = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        return Changes(missing=f"git failed: {told}")
    except OSError as error:
        return Changes(missing=str(error.strerror))
    if len(patch) > LARGEST:
        return Changes(missing=f"{len(patch):,} bytes, more than {LARGEST:,}")
    others = sorted({*new} - {*code})
    return Changes(patch, ", ".join(others))


def git(*arguments: str | bytes, index: Path | None = None) -> bytes:
    """Return what a git command prints; `index` is used instead of that of the project."""
    environment = {**os.environ, **({"GIT_INDEX_FILE": str(index)} if index else {})}
    command = ["git", "--no-optional-locks", "--literal-pathspecs", "-C", str(PROJECT), *arguments]
    return subprocess.run(command, capture_output=True, check=True, env=environment).stdout


def _patch(new: list[str]) -> bytes:
    """Return the patch, by a copy of the index in which new files are announced."""
    with TemporaryDirectory() as folder:
        index = Path(folder, "index")
        shutil.copy(PROJECT / os.fsdecode(git("rev-parse", "--git-path", "index").strip()), index)
        if new:
            git("add", "--intent-to-add", "--", *new, index=index)
        return git(*DIFF, index=index)


def _new_files() -> list[str]:
    """Return the files that git neither has nor ignores; repositories within this one, too."""
    listed = git("ls-files", "--others", "--exclude-standard", "-z", "--", *CODE)
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]


def _is_code(path: Path) -> bool:
    """Return whether a new file may be code: no link into nowhere, as editors leave, and small."""
    return path.is_file() and path.lstat().st_size <= LARGEST
