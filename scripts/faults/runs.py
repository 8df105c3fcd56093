"""Runs commands in child processes, and compares the results of runs."""

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
    """Run a command in a forked process, and return the process id.

    A forked process has done all imports, so that a run takes one second instead of five.

    Args:
        folder: Working folder, created if missing; output is appended to its `log.txt`.
        words: The command line.
        seconds: Time between two checkpoints.
        prepare: Called in the process before the command, to inject a fault.
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
        for number in SIGNALS:  # nohup, e.g., would have them ignored
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
    """Wait for a process and return its exit code, or -n if signal n killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill(process: int, number: int | None = None) -> None:
    """Send a signal, SIGKILL if none is given, to a child process that has not been waited for."""
    os.kill(process, number or signal.SIGKILL)


def left(folder: Path) -> dict[str, Any]:
    """Return results, curves and checkpoints of a run, without times, paths and unused values."""
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
    """Return the content of a checkpoint, without times, paths and unused values."""
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["record"] = {name: checkpoint["record"][name] for name in ("metrics", "samples")}
    loops = checkpoint["loops"]["fit_loop"]
    loops["epoch_loop.automatic_optimization.optim_progress"]["optimizer"].pop("zero_grad")
    for state in checkpoint["callbacks"].values():
        if scores := state.pop("best_k_models", None):
            state["scores"] = {Path(name).name: score for name, score in scores.items()}
        state |= {name: Path(v).name for name, v in state.items() if isinstance(v, str)}
        state.pop("dirpath", None)
        state.pop("current_score", None)  # only displayed, not restored on resume
    return checkpoint


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the points of each curve in TensorBoard's event files."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in tags}


def differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Yield every place where two nested values are not exactly equal."""
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
