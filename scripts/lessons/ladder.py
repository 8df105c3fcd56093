"""Helper of lesson 6: finds a finished run of each model, or trains it for a few epochs."""

import os
import sys
from pathlib import Path

import kit

import src.libraries  # noqa: F401  (first)

# isort: split
from src.cli import main as linenet
from src.data import MNIST
from src.places import CONFIGS
from src.runs.find import is_fit, last_saved
from src.runs.results import read_results

sys.path.append(str(kit.PROJECT))  # in a notebook, whose folder is this one
from scripts.shared.trained import Trained, open_run

EPOCHS = {"mnist": 2, "digits": 20}  # an epoch of the small digits has fewer batches


def data_folder() -> str:
    """Return the folder of the data sets, which does not depend on where a notebook runs."""
    return os.environ.get("DATA_DIR") or str(kit.PROJECT / "data")


def finished(config: str, data: MNIST) -> Path:
    """Return the folder of a config's newest finished run; train one if there is none."""
    logs = kit.PICTURES.parent
    found = _newest(config, data, logs) or _newest(config, data, kit.PICTURES)
    folder = found or _train_briefly(config, data)
    epochs = (read_results(folder) or {})["epochs"]
    print(f"  {config}: {folder.relative_to(logs)}, trained for {epochs} epochs")
    return folder


def opened(folder: Path) -> Trained:
    """Load the model of a run with its best weights, and its data."""
    return open_run(str(folder), "the lesson")


def _newest(config: str, data: MNIST, place: Path) -> Path | None:
    """Return the folder of the newest run that was tested on the whole test set of this data."""
    matching = []
    for path in place.glob(f"{config}/*/config.yaml"):
        results = read_results(path.parent) if is_fit(path) else None
        wanted = data.name, len(data.splits["test"].x)
        if results and (results["dataset"]["name"], results["tested"]) == wanted:
            matching.append(path.parent)
    return max(matching, key=last_saved, default=None)


def _train_briefly(config: str, data: MNIST) -> Path:
    """Train a config for a few epochs by the command line, into lightning_logs/lessons/."""
    source = "mnist" if data.name == "MNIST" else "digits"
    epochs = EPOCHS[source]
    words = ["fit", "--config", f"{CONFIGS / config}.yaml", "--config", f"{CONFIGS}/with/fast.yaml",
             "--trainer.max_epochs", str(epochs), "--data.source", source,
             "--data.root", str(data.root),
             "--trainer.logger.save_dir", str(kit.PICTURES), "--figures.only", "[]",
             "--report", "false", "--trainer.enable_progress_bar", "false"]  # fmt: skip
    print(f"{config} has no finished run: training it for {epochs} epochs only ...", flush=True)
    with kit.silenced():
        linenet(words)
    folder = _newest(config, data, kit.PICTURES)
    assert folder is not None
    return folder
