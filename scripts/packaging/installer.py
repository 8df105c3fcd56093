"""Installs packages in the versions of uv.lock: by uv if it is there, else by pip."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
SECONDS = 5  # that PyTorch's index may take to say what it has
VERSION = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


class Installer:
    """Installs into the environment of a Python.

    Args:
        python: The Python of the environment.
        pip: Whether to take pip anyway: uv does not see packages outside the environment.
    """

    def __init__(self, python: Path, pip: bool = False) -> None:
        self.python, self.uv = python, None if pip else shutil.which("uv")
        self.constraints = python.parents[1] / "constraints.txt"

    def constrain(self, lock: Path, instead: Mapping[str, str]) -> dict[str, str]:
        """Write the versions of a lock file as constraints, and return them by name.

        Args:
            lock: The file uv.lock.
            instead: Versions of some packages that take the place of those in it.
        """
        packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
        chosen = [one for one in packages if "registry" in one["source"]]
        chosen = [one for one in chosen if one["name"] not in instead]
        lines = [constraint(one) for one in chosen] + [f"{k}=={v}" for k, v in instead.items() if v]
        self.constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {one["name"]: one["version"] for one in chosen}

    def install(self, *what: str) -> None:
        """Install packages, given as the arguments of `pip install`."""
        self._run("install", "--constraint", str(self.constraints), *what)

    def install_torch(self, backend: str, *packages: str) -> None:
        """Install a build of torch from PyTorch's own index, which uv knows, and pip does not.

        Where there is no uv, it is installed for this, and removed.

        Args:
            backend: The name of the build, e.g. `cpu`.
            packages: The packages, with their versions.

        Raises:
            subprocess.SubprocessError: If the index does not answer in seconds, lacks the packages,
                or breaks off.
        """
        words = ("--constraint", str(self.constraints), "--no-deps", "--torch-backend", backend)
        if not self.uv:
            self.install("uv")
        try:
            start = [self.uv] if self.uv else [str(self.python), "-m", "uv"]
            start += ["pip", "install", "--quiet", "--python", str(self.python)]
            ask = [*start, "--dry-run", *words, *packages]
            once = {**os.environ, "UV_HTTP_RETRIES": "0"}
            subprocess.run(ask, capture_output=True, env=once, timeout=SECONDS, check=True)
            subprocess.run([*start, *words, *packages], stdout=sys.stderr, check=True)
        finally:
            if not self.uv:
                self.uninstall("uv")

    def uninstall(self, *names: str) -> None:
        self._run("uninstall", *([] if self.uv else ["--yes"]), *names)

    def version(self, name: str) -> str:
        """Return the version of an installed package, or ""."""
        command = [str(self.python), "-c", VERSION, name]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def _run(self, command: str, *words: str) -> None:
        start = [str(self.python), *PIP, command]
        if self.uv:
            start = [self.uv, "pip", command, "--quiet", "--python", str(self.python)]
        subprocess.run([*start, *words], stdout=sys.stderr, check=True)


def constraint(package: Mapping[str, Any]) -> str:
    """Return the version of a package in uv.lock, with the environments that it is for."""
    markers = " or ".join(f"({marker})" for marker in package.get("resolution-markers", []))
    return f"{package['name']}=={package['version']}" + (f" ; {markers}" if markers else "")


def say(text: str) -> None:
    """Print to standard error: standard output is for the path of the Python alone."""
    print(text, file=sys.stderr, flush=True)


def fail(message: str, code: int = 1) -> NoReturn:
    say(f"error: {message}")
    raise SystemExit(code)
