"""`provenance.json`: what each session of a training depended on, with its uncommitted changes.

A training that is resumed has several sessions; one that is equal to the session before is not
added. The changes are kept as `changes.diff`, for `git apply`; those of a later session that has
others, as `changes-2.diff` and so on; `changes_missing` says what could not be kept, and why.
"""

import json
from pathlib import Path
from typing import Any

from src.files import write_whole
from src.runs.code_state import Changes

FILE = "provenance.json"
APART = ("started", "command")  # of a session: they do not decide its numbers

Session = dict[str, Any]


def sessions(folder: Path) -> list[Session]:
    """Return the sessions of a training, the first one first; none if an old version made it."""
    path = folder / FILE
    return list(json.loads(path.read_text(encoding="utf-8"))["sessions"]) if path.is_file() else []


def add_session(folder: Path, session: Session, changes: Changes) -> None:
    """Add a session to `provenance.json`, and keep its uncommitted changes.

    Args:
        folder: The run folder.
        session: What the session depends on.
        changes: The uncommitted changes of the code.
    """
    before = sessions(folder)
    session = {**session, "changes": _kept(folder, changes.patch)}
    if changes.missing:
        session["changes_missing"] = changes.missing
    if before and deciding(before[-1]) == deciding(session):
        return
    content = {"sessions": [*before, session]}
    write_whole(folder / FILE, json.dumps(content, indent=1) + "\n")


def deciding(session: Session) -> Session:
    """Return a session without what does not decide its numbers."""
    return {name: value for name, value in session.items() if name not in APART}


def _kept(folder: Path, patch: bytes) -> str | None:
    """Return the name of the file that holds a patch, written if there is none yet."""
    if not patch:
        return None
    number = 1
    while (path := folder / f"changes{f'-{number}' if number > 1 else ''}.diff").exists():
        if path.read_bytes() == patch:
            return path.name
        number += 1
    write_whole(path, patch)
    return path.name
