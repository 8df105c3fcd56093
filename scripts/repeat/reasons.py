"""What has changed between two trainings, besides their numbers: the reasons to look for."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from scripts.repeat.code_changes import code_changes
from src.places import named_here
from src.runs.finished import FREE
from src.runs.provenance import PACKAGES
from src.runs.results import read_results
from src.runs.sessions import Session, sessions
from src.runs.settings import changes

OF_A_RUN = (
    "trainer.logger", "trainer.default_root_dir", "checkpoint.dirpath", "figures", "data.source",
)  # fmt: skip
FOLLOWS = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")  # from the settings


def changed(before: Path, after: Path) -> dict[str, list[str]]:
    """Return what differs between two runs, by kind: code, versions, data, environment, ...

    A run that was resumed has several sessions; all that differ from the repetition count.
    """
    results = [read_results(folder) or {} for folder in (before, after)]
    old, new = (one.get("steps_made") for one in results)
    found = {"settings": _settings(before, after), "steps": [f"{old} -> {new}"] * (old != new)}
    known = sessions(before)
    if not known:
        found["not recorded"] = ["data, packages and environment of a run of an earlier version"]
    now = sessions(after)[-1]
    for then in known or results[:1]:
        for kind, told in _between(then, now):
            found[kind] = [*dict.fromkeys([*found.get(kind, []), told])]
        told_of_code = code_changes((then, before), (now, after))
        found["code"] = [*dict.fromkeys([*found.get("code", []), *told_of_code])]
    return {kind: told for kind, told in found.items() if told}


def _between(then: Session, now: Session) -> Iterator[tuple[str, str]]:
    """Yield the kind of each change between two sessions, and the old and the new value."""
    for kind in ("versions", "packages", "environment"):
        old, new = then.get(kind, {}), now[kind]
        skipped = (*FOLLOWS, *(PACKAGES if kind == "packages" else ()))  # told with the versions
        for name in sorted({*old, *new} - {*skipped}) if kind in then else []:
            if old.get(name) != new.get(name):
                yield kind, f"{name} {old.get(name, 'not set')} -> {new.get(name, 'not set')}"
    both = [one["data"] for one in (then, now) if "data" in one]
    if len({one["digest"] for one in both}) > 1:
        yield "data", " -> ".join(f"{one['digest']} ({one['source']})" for one in both)
    for name in ("device", "processes", "platform"):
        if name in then and then[name] != now[name]:
            yield "device", f"{then[name]} -> {now[name]}"


def _settings(before: Path, after: Path) -> list[str]:
    old, new = (
        named_here(yaml.safe_load((one / "config.yaml").read_text(encoding="utf-8")))
        for one in (before, after)
    )
    different = [one for one in changes(old, new) if not one.name.startswith((*FREE, *OF_A_RUN))]
    return [f"{name} {then} -> {now}" for name, then, now in different]
