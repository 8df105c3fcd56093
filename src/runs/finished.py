"""Whether a finished run can be resumed: only to train longer, and with nothing else changed."""

from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.utilities import rank_zero_only

from src.errors import UserError
from src.places import named_here
from src.runs.results import read_results
from src.runs.settings import Change, changes

LIMITS = ("trainer.max_epochs", "trainer.max_steps", "trainer.max_time")
FREE = (  # settings that do not belong to the training: a change of them is no reason to refuse
    "config", "ckpt_path", "resume", "report", "tag", "note", "folder", "threads",
    "data.root", "data.path",
    "trainer.logger", "trainer.enable_progress_bar", "trainer.enable_model_summary",
)  # fmt: skip


def stop_if_finished(folder: Path, config: dict[str, Any]) -> None:
    """Exit if a run is finished and the command does not ask for more training.

    Args:
        folder: The run folder.
        config: The settings of the current command, as in a `config.yaml`.

    Raises:
        SystemExit: With code 0 if nothing is left to do.
        UserError: If the settings differ from those of the run, or do not make it longer.
    """
    results = read_results(folder)
    if results is None:
        return
    then = named_here(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    changed = [one for one in changes(then, config) if not one.name.startswith(FREE)]
    longer = [one for one in changed if one.name in LIMITS]
    if others := [one for one in changed if one not in longer]:
        raise UserError(
            f"{folder} is finished, with {told(others)}.\n"
            "Undo the change, or start a new run without --resume."
        )
    if not longer:
        text = f"{folder} is finished: see {folder / 'results.json'}.\n{advice(results)}"
        rank_zero_only(print)(text)
        raise SystemExit(0)
    if reason := reached(results, config["trainer"], [one.name for one in longer]):
        raise UserError(
            f"{folder} cannot be trained longer: {reason} ({told(longer)}).\n"
            "Change what has ended it, or start a new run without --resume."
        )


def advice(results: dict[str, Any]) -> str:
    """Return what to do to train longer than a finished run."""
    ended_by = results.get("ended_by")
    if ended_by not in (None, "max_time"):
        return f"{ended_by} has ended it: to train longer, start a new run without it."
    limit = ended_by or "max_epochs"
    fixed = "OneCycleLR or StochasticWeightAveraging, whose length is fixed"
    return f"To train longer, give --trainer.{limit} (not with {fixed})."


def told(changed: list[Change]) -> str:
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return ", ".join(f"--{name} {old}, now {new}" for name, old, new in changed[:3]) + more


def reached(results: dict[str, Any], trainer: dict[str, Any], changed: list[str]) -> str | None:
    """Return why a run would end at once under these limits; None if it would not."""
    ended_by = results.get("ended_by")
    if ended_by == "max_time" and "trainer.max_time" not in changed:
        return f"--trainer.max_time {trainer['max_time']} has passed"
    if ended_by not in (None, "max_time"):
        return f"{ended_by} has ended it after {results['epochs']} epochs"
    for name, done in (("max_epochs", results["epochs"]), ("max_steps", results["steps"])):
        limit = trainer[name]
        if limit not in (None, -1) and done >= limit:
            return f"--trainer.{name} {limit} is reached"
    return None
