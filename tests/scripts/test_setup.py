"""./scripts/setup: the build of torch, the versions of uv.lock, and updates in place."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from tests.conftest import PROJECT

LOCK = tomllib.loads((PROJECT / "uv.lock").read_text())
# Stands for the Python of .venv, and for uv: prints what it installs, and has a torch or none.
STAND_IN = """#!/bin/sh
case "$1 $2" in
"-m pip" | "-m uv" | "pip "*)
    echo called: "$@" >&2
    case "$*" in
    *--dry-run*) exec sh -c "sleep ${{INDEX_SECONDS:-0}}; exit ${{INDEX:-1}}" ;;
    *--torch-backend*) exit ${{INDEX_CODE:-0}} ;;
    esac
    exit ${{PIP_CODE:-0}} ;;
"-c import importlib"*)
    if [ "$3" = torch ]; then echo "$TORCH"; else echo "$TORCHVISION"; fi
    exit ;;
esac
exec {python} "$@"
"""
OF_CPU = "--no-deps --torch-backend cpu torch==2.13.0 torchvision==0.28.0"
WITHOUT_UV = ["uv", OF_CPU, "uninstall --yes uv"]  # pip does not know the index
ANSWERS = {"INDEX": "0"}  # PyTorch's own index can be reached


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone without .venv."""
    (tmp_path / "scripts").mkdir()
    shutil.copytree(PROJECT / "scripts/packaging", tmp_path / "scripts/packaging")
    for name in ("scripts/setup", "scripts/export/__main__.py", "pyproject.toml", "uv.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    program(tmp_path / "bin/python3", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    return tmp_path


def environment(clone: Path, *lines: str) -> None:
    """Let the clone have an environment, up to date with these extras and choices."""
    program(clone / ".venv/bin/python", STAND_IN.format(python=sys.executable))
    (clone / ".venv/installed").write_text("\n".join([digest(clone), *lines]) + "\n")


def digest(clone: Path) -> str:
    files = ["sha256sum"]
    text = (clone / "pyproject.toml").read_bytes() + (clone / "uv.lock").read_bytes()
    return subprocess.run(files, input=text, capture_output=True).stdout.split()[0].decode()


def setup(clone: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{clone / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
    torch = {"TORCH": "2.13.0+cpu", "TORCHVISION": "0.28.0+cpu"}
    torch = {name: variables.get("TORCH", version) and version for name, version in torch.items()}
    return subprocess.run(
        [clone / "scripts/setup", *words], capture_output=True, text=True,
        env={"PATH": path, **torch, **variables}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def installed(clone: Path) -> list[str]:
    return (clone / ".venv/installed").read_text().splitlines()


def calls(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what pip or uv was told, without the options that it is always given."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("called: ")]
    return [re.sub(r".*(constraints.txt|(?=uninstall))", "", line).strip() for line in lines]


def test_what_is_up_to_date_is_left_alone(clone: Path) -> None:
    environment(clone, "demo")
    done = setup(clone, "demo")
    assert (done.stdout, done.stderr) == (f"{clone}/.venv/bin/python\n", "")


@pytest.mark.parametrize(
    ("words", "extras"),
    [
        (["export", "demo"], ["export", "demo"]),
        (["--for", "export", "latest"], ["export"]),
        (["--for", "export", "--help"], []),
        (["--for", "export"], []),  # the tool says what is missing
        (["--for", "fit", "--config", "x"], []),
        (["--for", "fit", "--", "x"], []),
        (["--for", "export", "--", "x"], ["export"]),
    ],
)
def test_extras_are_installed_once(clone: Path, words: list[str], extras: list[str]) -> None:
    environment(clone)
    done = setup(clone, *words)
    wanted = [f"--editable {clone}[{','.join(extras)}]"] if extras else []
    assert calls(done) == wanted, done.stderr
    assert installed(clone)[1:] == extras
    assert setup(clone, *words).stderr == ""


def test_an_unknown_extra_is_refused(clone: Path) -> None:
    environment(clone)
    done = setup(clone, "nonsense")
    assert done.returncode == 2
    assert "no extra [nonsense]" in done.stderr
    assert "expected one of export, demo, completion" in done.stderr
    assert installed(clone)[1:] == []


@pytest.mark.parametrize("file", ["pyproject.toml", "uv.lock"])
def test_a_changed_file_updates_the_environment_with_its_extras(clone: Path, file: str) -> None:
    environment(clone, "--cuda", "demo", "sweep")
    with (clone / file).open("a") as changed:
        changed.write("# changed\n")
    done = setup(clone)
    assert calls(done) == [f"--editable {clone}[demo,sweep]"]
    assert installed(clone) == [digest(clone), "--cuda", "demo", "sweep"]
    assert setup(clone).stderr == ""


def test_what_was_interrupted_is_done_again(clone: Path) -> None:
    environment(clone, "demo")
    failed = setup(clone, "export", PIP_CODE="3")
    assert failed.returncode == 3
    assert "Traceback" not in failed.stderr
    assert installed(clone) == ["unfinished", "demo"]
    done = setup(clone)
    assert "in which no ./scripts/setup has ended yet" in done.stderr
    assert calls(done) == [f"--editable {clone}[demo]"]


@pytest.mark.parametrize("stamp", [None, ""])  # made by `uv sync`; written to a full disk
def test_an_environment_of_which_nothing_is_known_is_completed(
    clone: Path, stamp: str | None
) -> None:
    environment(clone)
    (clone / ".venv/installed").unlink()
    if stamp is not None:
        (clone / ".venv/installed").write_text(stamp)
    done = setup(clone)
    assert "in which no ./scripts/setup has ended yet" in done.stderr
    assert calls(done) == [f"--editable {clone}"]
    assert installed(clone) == [digest(clone)]


def test_an_extra_whose_package_was_removed_is_installed_again(clone: Path) -> None:
    text = (clone / "pyproject.toml").read_text()
    (clone / "pyproject.toml").write_text(text.replace('"gradio>=6.0,<7"', '"not-there[all]>=1"'))
    environment(clone, "demo", "export")
    assert calls(setup(clone, "demo")) == [f"--editable {clone}[demo,export]"]
    assert setup(clone, "export").stderr == setup(clone).stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such lock")
def test_a_second_set_up_says_that_it_waits(clone: Path) -> None:
    import fcntl

    environment(clone)
    with (clone / "pyproject.toml").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert setup(clone).stderr == ""  # nothing to do, and so nothing to wait for
        command = [clone / "scripts/setup", "demo"]
        waiting = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert waiting.stderr
        assert waiting.stderr.readline() == b"Waiting for another set-up of this clone to end.\n"
    assert b"Installing into .venv, once: demo" in waiting.communicate(timeout=20)[1]
    assert waiting.returncode == 0


def test_help_explains_each_flag(clone: Path) -> None:
    environment(clone)
    text = setup(clone, "--help").stdout
    for flag in ("--cpu", "--cuda", "--system-site-packages", "EXTRA"):
        assert re.search(rf"^  {flag}\s+\w+ \w+", text, re.MULTILINE), flag


def test_the_environment_behind_a_link_is_not_cleared(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/installed").touch()
    (clone / ".venv").symlink_to(tmp_path / "other")
    done = setup(clone)
    assert done.returncode == 1
    assert ".venv is a link" in done.stderr
    assert (tmp_path / "other/installed").exists()


def with_uv(clone: Path) -> None:
    program(clone / "bin/uv", STAND_IN.format(python="false"))


def with_gpu(clone: Path, text: str = "GPU 0: NVIDIA H200") -> None:
    program(clone / "bin/nvidia-smi", f"#!/bin/sh\necho {text}\n")


def test_a_new_environment_without_gpu_gets_torch_for_cpus(clone: Path) -> None:
    with_uv(clone)
    with_gpu(clone, "No devices were found")
    done = setup(clone, "demo", TORCH="", **ANSWERS)
    assert done.returncode == 0, done.stderr
    assert "since there is no NVIDIA GPU (./scripts/setup --cuda" in done.stderr
    first, second = calls(done)
    assert first == OF_CPU
    assert second == f"--editable {clone}[demo]"
    assert installed(clone) == [digest(clone), "demo"]


def test_with_a_gpu_the_default_index_has_it(clone: Path) -> None:
    with_uv(clone)
    with_gpu(clone)
    done = setup(clone, TORCH="")
    assert "since there is an NVIDIA GPU (./scripts/setup --cpu" in done.stderr
    assert calls(done) == [f"--editable {clone}"]


def test_an_index_that_cannot_be_reached_is_left_out(clone: Path) -> None:
    with_uv(clone)
    done = setup(clone, TORCH="")
    assert "index cannot be used: taking what the default index has." in done.stderr
    assert calls(done) == [f"--editable {clone}"]


def test_an_index_without_the_wheel_is_left_out(clone: Path) -> None:
    with_uv(clone)
    done = setup(clone, TORCH="", INDEX_CODE="1", **ANSWERS)
    assert done.returncode == 0, done.stderr
    assert "index cannot be used: taking what the default index has." in done.stderr
    assert [call.split()[0] for call in calls(done)] == ["--no-deps", "--editable"]


def test_torchvision_is_of_the_build_of_torch_also_after_an_interruption(clone: Path) -> None:
    environment(clone)
    (clone / ".venv/installed").write_text("unfinished\n")
    assert calls(setup(clone, TORCHVISION="", **ANSWERS))[:3] == WITHOUT_UV


def test_a_choice_is_kept_and_can_be_changed(clone: Path) -> None:
    with_gpu(clone)
    environment(clone, "demo")
    uninstall = "uninstall --yes torch torchvision"
    done = setup(clone, "--cpu", **ANSWERS)
    assert calls(done) == [
        uninstall,
        *WITHOUT_UV,
        f"--editable {clone}[demo]",
    ]
    assert installed(clone)[1:] == ["--cpu", "demo"]
    assert setup(clone, "--cpu").stderr == setup(clone).stderr == ""
    assert calls(setup(clone, "--cuda")) == [uninstall, f"--editable {clone}[demo]"]
    refused = setup(clone, "--system-site-packages")
    assert refused.returncode == 1
    assert "set up without --system-site-packages; remove it first" in refused.stderr


@pytest.fixture
def torch_build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(PROJECT / "scripts/packaging")
    for name in ("torch_build", "installer", "installed"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import torch_build  # type: ignore[import-not-found]

    return torch_build


def test_an_index_that_does_not_answer_is_given_up(clone: Path) -> None:
    file = clone / "scripts/packaging/installer.py"
    file.write_text(re.sub("SECONDS = .*", "SECONDS = 0.2", file.read_text(), count=1))
    with_uv(clone)
    done = setup(clone, TORCH="", INDEX_SECONDS="60", **ANSWERS)
    assert done.returncode == 0, done.stderr
    assert "index cannot be used: taking what the default index has." in done.stderr
    assert calls(done) == [f"--editable {clone}"]


@pytest.mark.parametrize(
    ("found", "terminal", "answer", "taken"),
    [
        ("2.13.0+cu130", True, "\n", "--system-site-packages"),
        ("2.13.0", True, "n\n", ""),
        ("2.13.0", True, "", ""),  # Ctrl-D
        ("2.13.0", False, "", ""),
        ("2.5.1", True, "\n", ""),  # too old
        ("3.0.0", True, "\n", ""),
        ("", True, "\n", ""),
    ],
)
def test_the_torch_of_this_python_is_offered(
    torch_build: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    found: str, terminal: bool, answer: str, taken: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch_build, "present", lambda: {"torch": found.partition("+")[0]})
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("sys.stdin.readline", lambda: answer, raising=False)
    assert torch_build.offered(PROJECT) == taken
    fits = found.startswith("2.13")
    assert ("--system-site-packages uses it" in capsys.readouterr().err) == fits


def test_its_version_takes_the_place_of_that_in_the_lock(
    torch_build: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    installer = torch_build.Installer(tmp_path / "bin/python", pip=True)
    versions = installer.constrain(PROJECT / "uv.lock", {"torch": "2.12.1", "torchvision": ""})
    lines = (tmp_path / "constraints.txt").read_text().splitlines()
    assert "torch==2.12.1" in lines
    assert not [line for line in lines if line.startswith("torchvision")]
    assert "torch" not in versions


def test_constraints_are_the_versions_of_the_lock_on_each_platform(
    torch_build: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    torch_build.Installer(tmp_path / "bin/python").constrain(PROJECT / "uv.lock", {})
    lines = (tmp_path / "constraints.txt").read_text().splitlines()
    for python in ("3.11.0", "3.12.0", "3.14.0"):
        for platform in ("linux", "darwin", "win32"):
            where = {"python_full_version": python, "sys_platform": platform}
            where["python_version"] = python[:4]
            found = [
                one
                for one in map(Requirement, lines)
                if not one.marker or one.marker.evaluate(where)
            ]
            names = [one.name for one in found]
            assert sorted({*names}) == sorted(names), "two versions of one package"
            assert {"torch", "lightning", "numpy", "pytest"} <= {*names}


def test_the_lock_is_that_of_pyproject() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    [ours] = [one for one in LOCK["package"] if one["name"] == "linenet"]
    locked = {(one["name"], one.get("specifier", "")) for one in ours["metadata"]["requires-dist"]}
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    needs = [Requirement(line) for group in groups for line in group]
    assert {(one.name, frozenset(one.specifier)) for one in needs} == {
        (name, frozenset(Requirement(f"{name}{text}").specifier)) for name, text in locked
    }, "pyproject.toml has changed: run uv lock"


def test_the_lock_names_public_places_only() -> None:
    hosts = set(re.findall(r"https?://[^/\"]+", (PROJECT / "uv.lock").read_text()))
    assert hosts == {"https://pypi.org", "https://files.pythonhosted.org"}
