"""The versions, device and environment that are needed to repeat a run."""

import os
import platform
import re
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("torch", "lightning", "torchvision", "torchmetrics", "jsonargparse", "numpy")
VARIABLES = (  # what the names start with
    "OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "VECLIB_", "DNNL_", "ONEDNN_", "CUBLAS", "CUDA_",
    "CUDNN_", "NVIDIA_TF32", "NCCL_", "GLOO_", "HIP_", "ROCR_", "TORCH", "PYTORCH_", "PL_",
    "LINENET_", "PYTHONHASHSEED", "PYTHONOPTIMIZE", "DATA_DIR", "WORLD_SIZE", "LD_PRELOAD",
)  # fmt: skip
SECRET = re.compile("KEY|TOKEN|SECRET|PASS|PWD|AUTH|CRED", re.IGNORECASE)
# From one process of this project to another.
OWN = ("LINENET_PRELOAD", "LINENET_RESUMED", "LINENET_THREADS")


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


@cache  # a process installs nothing
def packages() -> dict[str, str]:
    """Return the versions of all installed packages, from the names of their folders.

    It takes a millisecond; reading their metadata takes a hundred.
    """
    found: dict[str, str] = {}
    for place in sys.path:
        for path in Path(place or ".").glob("*.dist-info"):
            package, _, number = path.name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(package.replace("_", "-").lower(), number)
    return dict(sorted(found.items()))


def environment() -> dict[str, str]:
    """Return the environment variables that may change numbers, or where data is found."""
    chosen = {name: text for name, text in os.environ.items() if name.startswith(VARIABLES)}
    return {k: v for k, v in sorted(chosen.items()) if not SECRET.search(k) and k not in OWN}
