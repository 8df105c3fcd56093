"""What it takes to repeat a run: versions, device, git commit."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("torch", "lightning", "torchvision", "torchmetrics", "jsonargparse", "numpy")


@cache  # each checkpoint holds them, and looking them up reads six files
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def device_name(device: torch.device) -> str:
    """Return the device in words, e.g. `cuda: NVIDIA H200` or `cpu: x86_64 AVX512, 2 threads`.

    The kind of vector instructions and the number of threads decide the last digits of a sum.
    """
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    kind = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return f"{device.type}: {kind}, {torch.get_num_threads()} threads"


def git_state() -> dict[str, str | bool] | None:
    """Return the commit of this project and whether its code was changed; None outside git."""
    folder = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "src", "configs", "scripts", "pyproject.toml")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return None
