"""The versions, device and git commit that are needed to repeat a run."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version

import torch

from src.places import PROJECT

PACKAGES = ("torch", "lightning", "torchvision", "torchmetrics", "jsonargparse", "numpy")


@cache  # called for each checkpoint; a look-up reads six files
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def device_name(device: torch.device) -> str:
    """Return the name of a device, e.g. `cuda: NVIDIA H200` or `cpu: x86_64 AVX512, 2 threads`.

    Vector instructions and the number of threads affect the last digits of a sum.
    """
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    kind = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    threads = torch.get_num_threads()
    return f"{device.type}: {kind}, {threads} thread{'s' * (threads != 1)}"


@cache  # the code of a process is that of its start
def git_state() -> dict[str, str | bool] | None:
    """Return the git commit of this project and whether its code has changes; None outside git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PROJECT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    if not (PROJECT / ".git").exists():  # a wheel may be installed within someone's own project
        return None
    try:
        changed = git("status", "--porcelain", "--", "src", "configs", "scripts", "pyproject.toml")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return None
