"""The folder of many runs that belong together: found again by the same command, which goes on."""

import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.many.page import warning_of
from scripts.many.resolved import resolved_and_read
from src.errors import UserError
from src.files import lock, write_whole
from src.places import named_here
from src.runs.finished import FREE
from src.runs.folders import locked, new_version
from src.runs.settings import changes

RECORD = "group.json"
OPENING = ".opening"  # the lock of a process that finds or creates a group
# Settings that may differ between two calls.
OF_RUNS = (*FREE, "seed_everything", "figures", "trainer.accelerator")


@dataclass
class Group:
    """A group of runs, `lightning_logs/KIND/version_N`, locked by this process.

    Attributes:
        folder: The folder of the group.
        name: The name of the experiment, that of its config.
        settings: The settings of its runs, as in a `config.yaml`.
        words: The words of `fit` that all runs share.
        data: Their data module, whose data has been read.
    """

    folder: Path
    name: str
    settings: dict[str, Any]
    words: list[str]
    data: Any

    @property
    def warning(self) -> str:
        """What a result must not be shown without: that other data was taken than was asked for."""
        return warning_of(self.data.source)

    def run_folder(self, run: str) -> Path:
        """Return the folder of a run, e.g. `seed_3`."""
        return self.folder / self.name / run

    def log(self, run: str) -> Path:
        """Return the file with what the process of a run prints."""
        return self.folder / "logs" / f"{run}.log"

    def run_words(self, run: str, *more: str) -> list[str]:
        """Return the words of `fit` that start a run of the group, or resume it.

        Args:
            run: Name of its folder, e.g. `seed_3`.
            more: The words that only this run has.
        """
        folder = self.run_folder(run)
        if (folder / "config.yaml").exists():
            return [*self.words, *more, "--resume", str(folder)]
        if folder.exists():  # the run was killed before it wrote its config
            with locked(folder):
                shutil.rmtree(folder)
        return [*self.words, *more, f"--folder={folder}"]


def default_words(words: Sequence[str]) -> list[str]:
    """Return the words of `fit`, without page and pictures for each run unless they are asked for.

    They take longer than a short training; `test --run` makes them later.
    """
    return ["--report=false", "--figures.only=[]", *words]


def open_group(
    kind: str, words: Sequence[str], own: dict[str, Any], stack: ExitStack, shared: bool = False
) -> Group:
    """Return the group that the same command has begun with the same data, or a new one.

    Args:
        kind: `seeds`, `folds` or `sweeps`.
        words: The words of `fit` that all runs share.
        own: What else decides what the group is, e.g. the number of folds.
        stack: Keeps the lock.
        shared: Whether several processes may use the group at once.

    Raises:
        SystemExit: If a word of `fit` is wrong, or the data cannot be read.
        UserError: If runs of these settings leave no files.
        UserError: If another process is using the group.
    """
    name, settings, data = resolved_and_read(words)
    own = {**own, "data": data.digest}
    check_kept(settings["trainer"])
    root = Path(settings["trainer"]["default_root_dir"] or "lightning_logs", kind)
    root.mkdir(parents=True, exist_ok=True)
    with lock(root / OPENING), ExitStack() as until_found:  # two processes must not create two
        keep = until_found if shared else stack
        for record in sorted(root.glob(f"version_*/{RECORD}"), reverse=True):
            if is_same(read_record(record), name, settings, own):
                if not shared:
                    keep.enter_context(locked(record.parent))
                return Group(record.parent, name, settings, [*words], data)
        folder = new_version(root, None, keep)
        content = {"kind": kind, "name": name, "own": own, "settings": settings, "words": [*words]}
        write_whole(folder / RECORD, json.dumps(content, indent=2) + "\n")
    return Group(folder, name, settings, [*words], data)


def check_kept(trainer: dict[str, Any]) -> None:
    """Refuse settings with which a run leaves no folder, or cannot go on.

    Raises:
        UserError: With the setting and its value.
    """
    needed = {"fast_dev_run": (False, None, 0), "enable_checkpointing": (True, None)}
    wrong = [name for name, allowed in needed.items() if trainer[name] not in allowed]
    wrong += ["logger"] * (trainer["logger"] is False)
    if wrong:
        raise UserError(
            f"--trainer.{wrong[0]} {trainer[wrong[0]]}: the runs of a group keep their files.\n"
            "Leave it out."
        )


def read_record(path: Path) -> dict[str, Any]:
    """Return the content of a group.json; one that is damaged is told, and equals no group."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return record if record.keys() >= {"name", "own", "settings"} else {}
    except (OSError, ValueError, AttributeError) as error:
        print(f"warning: {path} is damaged ({error}), and left alone.", file=sys.stderr)
        return {}


def is_same(record: dict[str, Any], name: str, settings: dict[str, Any], own: Any) -> bool:
    """Return whether a group has these settings, but for those that do not change the numbers."""
    if not record:
        return False
    different = [one.name for one in changes(named_here(record["settings"]), settings)]
    same_settings = all(one.startswith(OF_RUNS) for one in different)
    return record["name"] == name and record["own"] == own and same_settings
