"""What .venv contains, by a file in it that set-up writes last."""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "--system-site-packages"
BUILDS = ("--cpu", "--cuda", SYSTEM)
UNFINISHED = "unfinished"  # in place of the digest, until a set-up ends


class Installed:
    """What an environment contains, by its file `installed`, which set-up writes last.

    Attributes:
        of: The digest of the files that it was set up by, UNFINISHED, or "" if nothing is known.
        build: The build of torch that a person chose, or "".
        extras: The extras.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.stamp = folder, folder / "installed"
        inside = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
        self.python = folder / inside
        text = self.stamp.read_text(encoding="utf-8") if self.stamp.is_file() else ""
        lines = text.splitlines() or [""]
        self.of = lines[0] if self.python.exists() else ""
        self.build = next((line for line in lines[1:] if line in BUILDS), "")
        self.extras = [line for line in lines[1:] if line not in BUILDS]

    def has(self, build: str, extras: Sequence[str]) -> bool:
        return self.of == digest() and build in ("", self.build) and {*extras} <= {*self.extras}

    def write(self, of: str, build: str, extras: Sequence[str]) -> None:
        lines = [of, *filter(None, [build]), *extras]
        new = self.stamp.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(new, self.stamp)


def digest() -> str:
    files = [ROOT / "pyproject.toml", ROOT / "uv.lock"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
