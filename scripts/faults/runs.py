"""Runs in processes that can be killed, and the comparison of what two runs have left."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

import src.callbacks.resume_points as resume_points
from src.cli import main
from src.command.signals import SIGNALS
from src.runs.checkpoints import resume_files


def start(
    folder: Path, words: list[str], seconds: float, prepare: Callable[[], None] | None = None
) -> int:
    """Run a command in a forked process, in a folder, and return the number of the process.

    A fork has all imports done, so that a run takes a second and not five.

    Args:
        folder: Where to run, made if it is not there; what is printed goes to its `log.txt`.
        words: The command line.
        seconds: Time between two checkpoints.
        prepare: Called in the process before the command, to plant a fault.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if process := os.fork():
        return process
    code: Any = 99
    try:
        os.chdir(folder)
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", 1, closefd=False) for n in (1, 2))
        sys.argv = ["src.cli"]
        for number in SIGNALS:  # whatever this program was started with, nohup say
            signal.signal(number, signal.SIG_DFL)
        torch.set_num_threads(1)
        resume_points.SECONDS, resume_points.SHARE = seconds, 0
        if prepare:
            prepare()
        main(words)
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(process: int) -> int:
    """Return the exit code of a process, -n if signal n has killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill(process: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a child; it may have ended, but is still there to be waited for."""
    os.kill(process, number)


def left(folder: Path) -> dict[str, Any]:
    """Return all that a run leaves, but for times, places and what nothing reads again."""
    kept = ("metrics", "epochs", "steps")
    results = json.loads((folder / "results.json").read_text())
    found = {
        "results": {name: results[name] for name in kept},
        "best": Path(results["best_checkpoint"]).name,
        "curves": curves(folder),
    }
    for path in [resume_files(folder / "checkpoints")[-1], *folder.glob("checkpoints/best-*")]:
        found[path.name] = content(path)
    return found


def content(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds, but for times, places and what nothing reads again."""
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["record"] = {name: checkpoint["record"][name] for name in ("metrics", "samples")}
    loops = checkpoint["loops"]["fit_loop"]
    loops["epoch_loop.automatic_optimization.optim_progress"]["optimizer"].pop("zero_grad")
    for state in checkpoint["callbacks"].values():
        if scores := state.pop("best_k_models", None):
            state["scores"] = {Path(name).name: score for name, score in scores.items()}
        state |= {name: Path(v).name for name, v in state.items() if isinstance(v, str)}
        state.pop("dirpath", None)
        state.pop("current_score", None)  # for show, and forgotten on resume
    return checkpoint


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the points of each curve as TensorBoard shows them."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in tags}


def differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Say where two nested values differ in a single bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in [*one, *(name for name in other if name not in one)]:
            yield from differences(one.get(name), other.get(name), f"{place}/{name}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            yield f"{place}: {len(one)} and {len(other)} values"
        for i, pair in enumerate(zip(one, other, strict=False)):
            yield from differences(*pair, f"{place}/{i}")
    elif isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.dtype != other.dtype or not torch.equal(one, other):
            yield f"{place}: other numbers"
    elif one != other:
        yield f"{place}: {one} and {other}"
