"""What has changed between two trainings, besides their numbers: the reasons to look for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from src.runs.finished import FREE
from src.runs.results import read_results
from src.runs.sessions import Session, sessions
from src.runs.settings import changes

SHOWN = 5  # changes of one kind
OF_A_RUN = ("trainer.logger", "trainer.default_root_dir", "checkpoint.dirpath", "figures")
OTHER_NAMES = {"digest": "data", "threads": "device"}  # their kind


def changed(before: Path, after: Path) -> dict[str, list[str]]:
    """Return what differs between two runs, by kind: code, versions, data, environment, ...

    A run that was resumed has several sessions; all that differ from the repetition count.
    """
    found: dict[str, list[str]] = {"settings": _settings(before, after)}
    now = _sessions(after)[-1]
    for then in _sessions(before):
        for kind, told in _between(then, now, before, after):
            found.setdefault(kind, [])
            found[kind] += [told] if told not in found[kind] else []
    return {kind: told for kind, told in found.items() if told}


def _between(then: Session, now: Session, before: Path, after: Path) -> Iterator[tuple[str, str]]:
    if then.get("git") != now.get("git") or _patch(then, before) != _patch(now, after):
        yield "code", f"{_code(then)} -> {_code(now)}"
    for kind in ("versions", "packages", "environment"):
        old, new = then.get(kind) or {}, now.get(kind) or {}
        for name in sorted(old.keys() | new.keys()) if old else []:
            if old.get(name) != new.get(name) and not (kind == "packages" and name in VERSIONS):
                yield kind, f"{name} {old.get(name, 'not set')} -> {new.get(name, 'not set')}"
    if (then.get("data") or {}).get("digest") != (now.get("data") or {}).get("digest"):
        yield "data", f"{_data(then)} -> {_data(now)}"
    for name in ("device", "processes", "platform"):
        if name in then and then[name] != now.get(name):
            yield "device", f"{then[name]} -> {now.get(name)}"


VERSIONS = ("torch", "lightning", "torchvision", "torchmetrics", "jsonargparse", "numpy")


def _sessions(folder: Path) -> list[Session]:
    """Return the sessions of a run; what its results.json tells if an old version made it."""
    return sessions(folder) or [{**(read_results(folder) or {}), "data": None}]


def _settings(before: Path, after: Path) -> list[str]:
    old, new = (yaml.safe_load((one / "config.yaml").read_text()) for one in (before, after))
    different = [one for one in changes(old, new) if not one.name.startswith((*FREE, *OF_A_RUN))]
    return [f"{name} {then} -> {now}" for name, then, now in different]


def _patch(session: Session, folder: Path) -> bytes:
    name = session.get("changes")
    return (folder / name).read_bytes() if name and (folder / name).is_file() else b""


def _code(session: Session) -> str:
    git: dict[str, Any] = session.get("git") or {}
    text = str(git.get("commit", "not in git"))[:9]
    return f"{text} with uncommitted changes" if git.get("dirty") else text


def _data(session: Session) -> str:
    data = session.get("data") or {}
    return f"{data.get('digest', 'not recorded')} ({data.get('source', 'unknown')})"
