"""Creates .venv, or updates it, and prints the path of its Python.

    ./scripts/setup [--cpu | --cuda | --system-site-packages] [EXTRA ...]

Without a flag, `nvidia-smi` decides: --cuda if it finds a GPU, else --cpu, which is much smaller on
Linux. --system-site-packages uses the torch that this Python already has. Versions are those of
uv.lock, installed by uv if it is there, else by pip. An environment is kept, and updated in place
when pyproject.toml or uv.lock has changed; it keeps its extras.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

import torch_build
from installed import BUILDS, ROOT, SYSTEM, UNFINISHED, Installed, digest
from installer import Installer, fail, say

UPDATING = "Updating .venv, since pyproject.toml or uv.lock has changed."
COMPLETING = "Completing .venv, in which no ./scripts/setup has ended yet."
HELP = {
    "--cpu": "torch without CUDA",
    "--cuda": "torch for NVIDIA GPUs",
    SYSTEM: "the torch of this Python, for a new .venv",
}


def main(args: Sequence[str] | None = None) -> None:
    words = [*sys.argv[1:]] if args is None else [*args]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = project["optional-dependencies"]
    # --for and a command: for this, the extra of its tool. argparse would take words from it.
    build, extras = ("", extra_of(words[1:])) if words[:1] == ["--for"] else wanted(words, known)
    needs = [line for extra in extras for line in known[extra]]
    if not complete(build, extras, needs):
        with one_at_a_time():
            if not complete(build, extras, needs):  # another may have done it
                installed = Installed(ROOT / ".venv")
                every = dict.fromkeys([*installed.extras, *extras])
                set_up(installed, build or installed.build, [*every])
    print(Installed(ROOT / ".venv").python)


def complete(build: str, extras: Sequence[str], needs: Sequence[str]) -> bool:
    """Return whether .venv is up to date, and has the packages that these extras need.

    `uv sync` removes those that it does not know of. It is .venv's own Python that is asked.
    """
    names = [re.split(r"[^\w.-]", line)[0] for line in needs]
    return Installed(ROOT / ".venv").has(build, extras) and all(
        any(distributions(name=name)) for name in names
    )


def wanted(words: Sequence[str], known: Sequence[str]) -> tuple[str, list[str]]:
    """Return the build of torch that was asked for, or "", and the extras."""
    epilog = f"Extras: {' '.join(known)}"
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("./scripts/setup", None, __doc__, epilog, formatter_class=raw)
    choice = parser.add_mutually_exclusive_group()
    for flag in BUILDS:
        choice.add_argument(flag, dest="build", action="store_const", const=flag, default="",
                            help=HELP[flag])  # fmt: skip
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="more packages, see below")
    options = parser.parse_args(words)
    for extra in options.extras:
        if extra not in known:
            expected = f"expected one of {', '.join(known)}"
            fail(f"there is no extra [{extra}] in pyproject.toml; {expected}", 2)
    return options.build, options.extras


def extra_of(words: Sequence[str]) -> list[str]:
    """Return the extra in the line `# extra: NAME` of the tool that the words of a command start.

    Help, and the error for no arguments, need none.
    """
    if len(words) < 2 or {"-h", "--help"} & {*words}:
        return []
    files = [ROOT / "scripts" / f"{words[0]}.py", ROOT / "scripts" / words[0] / "__main__.py"]
    lines = [line for file in files if file.is_file() for line in file.open(encoding="utf-8")]
    return [line.split()[2] for line in lines if line.startswith("# extra: ")][:1]


def set_up(installed: Installed, build: str, extras: Sequence[str]) -> None:
    """Create the environment if there is none, and install what is missing."""
    if not installed.python.exists():
        refuse_link(installed.folder)
        build = build or torch_build.offered(ROOT)
        create(installed.folder, build)
        installed.build = build
    elif (build == SYSTEM) != (installed.build == SYSTEM):
        word = "without" if build == SYSTEM else "with"
        fail(f".venv was set up {word} {SYSTEM}; remove it first.")
    else:
        what = f"Installing into .venv, once: {' '.join([build, *extras]).strip()}"
        told = {digest(): what, "": COMPLETING, UNFINISHED: COMPLETING}
        say(told.get(installed.of, UPDATING))
    installed.write(UNFINISHED, installed.build, installed.extras)  # until the end, if killed
    installer = Installer(installed.python, pip=build == SYSTEM)
    versions = installer.constrain(ROOT / "uv.lock", torch_build.present(build))
    torch_build.install(installer, build, versions, again=build != installed.build)
    installer.install("--editable", f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT))
    installed.write(digest(), build, extras)


def create(folder: Path, build: str) -> None:
    """Create the environment with this Python; uv needs no pip in it, and Debian may have none."""
    say("Setting up .venv, once; this takes a minute or two.")
    options = ["--system-site-packages"] * (build == SYSTEM)
    options += ["--without-pip"] * bool(shutil.which("uv") and build != SYSTEM)
    command = [sys.executable, "-m", "venv", "--clear", *options, str(folder)]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        fail(f"{sys.executable} cannot create an environment; on Debian: apt install python3-venv")


def refuse_link(folder: Path) -> None:
    if folder.is_symlink():  # what it points to may be in use by others
        fail(f"{folder.name} is a link to a folder without Python; remove the link.")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for another set-up of this clone to end; Windows has no such lock."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Waiting for another set-up of this clone to end.")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:  # it has printed why
        raise SystemExit(error.returncode) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
