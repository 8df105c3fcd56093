"""What lesson 6 needs and does not teach: it finds the run of each rung, or trains it briefly."""

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import kit

import src.libraries  # noqa: F401  (first)

# isort: split
from src.cli import main as linenet
from src.command.config_files import CONFIGS
from src.data import MNIST
from src.runs.find import is_fit, last_saved
from src.runs.results import read_results

sys.path.append(str(Path(__file__).resolve().parents[2]))
from scripts.shared.trained import Trained, open_run

EPOCHS = {"mnist": 2, "digits": 20}  # the small digits have fewer batches in an epoch


def finished(config: str, data: MNIST) -> Path:
    """Return the folder of the newest finished run of a config; if there is none, train one."""
    logs = kit.PICTURES.parent
    found = _newest(config, data, logs) or _newest(config, data, kit.PICTURES)
    folder = found or _train_shortly(config, data)
    print(f"  {config}: {folder.relative_to(logs)}")
    return folder


def opened(folder: Path) -> Trained:
    """Return the model of a run, with its best weights, and its data."""
    return open_run(str(folder), "the lesson")


def _newest(config: str, data: MNIST, place: Path) -> Path | None:
    """Return the folder of the newest run that was tested on all test digits of these data."""
    fitting = []
    for path in place.glob(f"{config}/*/config.yaml"):
        results = read_results(path.parent) if is_fit(path) else None
        wanted = data.name, len(data.splits["test"].x)
        if results and (results["dataset"]["name"], results["tested"]) == wanted:
            fitting.append(path.parent)
    return max(fitting, key=last_saved, default=None)


def _train_shortly(config: str, data: MNIST) -> Path:
    """Train a rung for a few epochs, as the command line does, into lightning_logs/lessons/."""
    source = "mnist" if data.name == "MNIST" else "digits"
    epochs = EPOCHS[source]
    words = ["fit", "--config", f"{CONFIGS / config}.yaml", "--config", f"{CONFIGS}/with/fast.yaml",
             "--trainer.max_epochs", str(epochs), "--data.source", source,
             "--trainer.logger.save_dir", str(kit.PICTURES), "--figures.only", "[]",
             "--report", "false", "--trainer.enable_progress_bar", "false"]  # fmt: skip
    print(f"{config} has no finished run: training it for {epochs} epochs only ...", flush=True)
    with redirect_stdout(StringIO()):
        linenet(words)
    folder = _newest(config, data, kit.PICTURES)
    assert folder is not None
    return folder
