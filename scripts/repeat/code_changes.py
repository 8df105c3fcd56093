"""How the code of two trainings differs: the commit, and what was not committed."""

import re
from collections.abc import Iterator
from pathlib import Path

from src.runs.sessions import Session

SHOWN = 3  # files
PART = re.compile(rb"^diff --git ", re.MULTILINE)  # begins the part of a patch for each file
NAME = re.compile(rb'.* "?b/(.+?)"?$', re.MULTILINE)  # in the first line of a part

Training = tuple[Session, Path]  # a session, and the run folder


def code_changes(before: Training, after: Training) -> Iterator[str]:
    """Yield how the code of two trainings differs, or that it may differ."""
    old, new = (_commit(session) for session, _ in (before, after))
    if old != new:
        yield f"{old} -> {new}"
    patches = [_patch(*training) for training in (before, after)]
    if files := _different(*(_by_file(path) for path in patches)):
        more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
        where = " and ".join(str(path) for path in patches if path)
        yield f"uncommitted changes of {', '.join(files[:SHOWN])}{more}: see {where}"
    for session, folder in (before, after):
        dirty, missing = (session.get("git") or {}).get("dirty"), session.get("changes_missing")
        if missing or (dirty and not session.get("changes")):
            why = f": {missing}" if missing else ""
            yield f"uncommitted changes in {folder}, not kept{why}"


def _commit(session: Session) -> str:
    return str((session.get("git") or {}).get("commit", "not in git"))[:9]


def _patch(session: Session, folder: Path) -> Path | None:
    """Return the file with the uncommitted changes of a session; None if it has none."""
    path = folder / (session.get("changes") or "none")
    return path if path.is_file() else None


def _by_file(patch: Path | None) -> dict[str, bytes]:
    """Return the part of a patch for each file."""
    parts = PART.split(patch.read_bytes())[1:] if patch else []
    named = ((NAME.match(part), part) for part in parts)
    return {name[1].decode(errors="replace"): part for name, part in named if name}


def _different(old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
