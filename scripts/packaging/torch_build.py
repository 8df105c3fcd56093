"""Chooses the build of torch: for CPUs, for NVIDIA GPUs, or the one that is already there."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from installed import SYSTEM
from installer import Installer, say

BACKENDS = {  # names of builds that uv knows; elsewhere PyPI has the build, or there is one only
    ("linux", "--cpu"): "cpu",
    ("win32", "--cuda"): "cu130",
}
PACKAGES = ("torch", "torchvision")
BUILDS = {"--cpu": "for CPUs", "--cuda": "for NVIDIA GPUs"}
OTHER = {"--cpu": "--cuda", "--cuda": "--cpu"}


def install(installer: Installer, build: str, versions: dict[str, str], again: bool) -> None:
    """Install torch and torchvision if PyPI's are of another build; the rest follows later.

    Args:
        installer: Installs into the environment.
        build: The flag that a person gave, or "".
        versions: The versions to install.
        again: Whether those of another build may be there.
    """
    if build == SYSTEM:
        return
    there = {name: installer.version(name).partition("+")[0] for name in PACKAGES}
    if not again and there == {name: versions[name] for name in PACKAGES}:
        return
    if any(there.values()) and again:
        installer.uninstall(*PACKAGES)
    chosen = build or ("--cuda" if has_gpu() else "--cpu")
    why = "" if build else f", since there is {'an' if has_gpu() else 'no'} NVIDIA GPU"
    say(f"torch {BUILDS[chosen]}{why} (./scripts/setup {OTHER[chosen]} takes the other one).")
    if backend := BACKENDS.get((sys.platform, chosen)):
        try:
            installer.install_torch(backend, *(f"{name}=={versions[name]}" for name in PACKAGES))
            return
        except subprocess.SubprocessError:  # it does not answer in time, or has printed why
            pass
        size = " On Linux that is the build for GPUs, 2.9 GB." * (sys.platform == "linux")
        say(f"PyTorch's own index cannot be used: taking what the default index has.{size}")


def has_gpu() -> bool:
    """Return whether the driver of an NVIDIA GPU lists one."""
    if not (program := shutil.which("nvidia-smi")):
        return False
    done = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "GPU " in done.stdout


def present(build: str = SYSTEM) -> dict[str, str]:
    """Return the versions of torch and torchvision that this Python has, if they are to be used.

    A package that is missing gets "", no version: what fits the others is installed.
    """
    found = dict.fromkeys(PACKAGES if build == SYSTEM else (), "")
    for name in found:
        try:
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
    return found


def offered(project: Path) -> str:
    """Offer the torch of this Python, if it has one that fits; return the flag that takes it."""
    found = present()["torch"] if sys.prefix == sys.base_prefix else ""
    if not found or not fits(found, (project / "pyproject.toml").read_text(encoding="utf-8")):
        return ""
    say(f"This Python has torch {found}; ./scripts/setup --system-site-packages uses it.")
    if not sys.stdin.isatty():
        return ""
    say("Use it, rather than download one? [Y/n]")
    answer = sys.stdin.readline()  # "" after Ctrl-D
    return SYSTEM if answer and not answer.strip().lower().startswith("n") else ""


def fits(found: str, pyproject: str) -> bool:
    """Return whether a version of torch lies within the bounds in pyproject.toml."""
    numbers = re.findall(r"\d+", re.findall(r'"torch(>=[\d.]+,<[\d.]+)"', pyproject)[0])
    low, high = (tuple(map(int, numbers[at : at + 2])) for at in (0, 2))
    return low <= tuple(map(int, re.findall(r"\d+", found)[:2])) < high
