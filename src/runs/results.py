"""Reads `results.json`, and preserves it when a run is resumed."""

import json
import shutil
from pathlib import Path
from typing import Any

from src.errors import UserError


def read_results(folder: Path) -> dict[str, Any] | None:
    """Return the results of a finished run; None if it was killed before its test.

    Raises:
        UserError: If the file is damaged, or was not written by a run.
    """
    path = folder / "results.json"
    if not path.is_file():
        return None
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        tested = "test/loss" in results["metrics"]  # all that runs of earlier versions tell
        return results if tested or results.get("finished") else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged, or was not written by a run ({type(error).__name__}).\n"
            "Move it away; the run then counts as not tested."
        ) from error


def set_aside_results(folder: Path) -> None:
    """Rename results, report and pictures of a finished run that is resumed to train longer."""
    results = read_results(folder)
    if results is None:
        return
    for name in ("results.json", "test_predictions.csv", "report.html", "figures"):
        if (old := folder / name).exists():
            kept = folder / f"{old.stem}-epoch{results['epochs']}{old.suffix}"
            if kept.is_dir():  # of an earlier end after as many epochs; rename replaces files only
                shutil.rmtree(kept)
            old.rename(kept)
