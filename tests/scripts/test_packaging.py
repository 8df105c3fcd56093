"""The wheel brings one package, linenet, that trains outside the clone, and reads its runs."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import pytest

from src.arguments import as_typed, completed
from src.cli import OF_A_CLONE, tools
from src.places import CONFIGS, named_here, shown, to_install
from tests.conftest import PROJECT

ENTRY = "from {}.shared.entry import main; main()"
BUILD = "import sys; sys.path.insert(0, {!r}); import linenet_build; linenet_build.{}({!r})"
TOOLS = str(PROJECT / "scripts/packaging")


def built(kind: str, clone: Path, folder: Path) -> Path:
    """Build a wheel, or an archive of the sources, and return it."""
    target = os.path.relpath(folder, clone)
    command = [sys.executable, "-c", BUILD.format(TOOLS, f"build_{kind}", target)]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [found] = [*folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")]
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as in the wheel, from which no `src` can be imported."""
    place = tmp_path_factory.mktemp("installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        import linenet_build  # type: ignore[import-not-found]
    linenet_build.renamed(PROJECT, place)
    return place


@pytest.mark.slow
def test_the_sources_make_a_wheel_with_one_package_configs_and_tools(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    ignore = shutil.ignore_patterns("__pycache__", "schema.json", "*.egg-info")
    for name in ("src", "configs", "scripts"):
        shutil.copytree(PROJECT / name, clone / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, clone)
    with tarfile.open(built("sdist", clone, tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    with zipfile.ZipFile(built("wheel", tmp_path / "linenet-0.1.0", tmp_path)) as file:
        names = {*file.namelist()}
        entry = file.read("linenet-0.1.0.dist-info/entry_points.txt").decode()
    assert {name.partition("/")[0] for name in names} == {"linenet", "linenet-0.1.0.dist-info"}
    assert "linenet = linenet.scripts.shared.entry:main" in entry
    configs = {f"linenet/configs/{path.relative_to(CONFIGS)}" for path in CONFIGS.rglob("*.yaml")}
    assert configs <= names
    assert {"linenet/runs/report.html", "linenet/scripts/draw/pad.js"} <= names
    assert "linenet/scripts/lessons/1_tensors.py" in names
    assert not [name for name in names if "bench" in name or "packaging" in name]


def test_nothing_in_it_names_the_layout_of_the_clone(installed: Path) -> None:
    for path in [*installed.rglob("linenet/**/*.py"), *installed.rglob("linenet/**/*.yaml")]:
        text = path.read_text()
        assert "src.cli" not in text, path
        assert "./scripts/run" not in text, path
        assert "./scripts/setup" not in text or path.name == "places.py", path
        assert "import src" not in text, path
        assert "from scripts" not in text, path


def python(folder: Path, code: str, *words: str) -> str:
    """Run code with the project in `folder`, the installed package or the clone; return output."""
    environment = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_help_names_the_command_without_importing_torch(installed: Path) -> None:
    without = "import sys; sys.modules.update(torch=None, src=None, scripts=None);"
    text = python(installed, without + ENTRY.format("linenet.scripts"), "--help")
    assert "  linenet fit --config configs/mnist_mlp.yaml" in text
    assert text.startswith("usage: linenet COMMAND-OR-TOOL ...\n")
    assert "\nTools:\n" in text
    assert "compare" in text
    assert "bench" not in text


def test_it_names_what_is_for_a_clone(installed: Path) -> None:
    """Exactly the tools that stay out of the wheel, and set-up."""
    import linenet_build

    left = {Path(name).stem for name in linenet_build.OF_A_CLONE}
    assert {*OF_A_CLONE} == left & {*tools(), "setup"}
    code = "import sys; from linenet.cli import unknown; print(unknown(sys.argv[1], ['all']))"
    expected = "bench is for a clone of the project.\nStart it there with scripts/run bench\n"
    assert python(installed, code, "bench") == expected


def test_it_installs_extras_by_name(installed: Path) -> None:
    code = "from linenet.places import to_install; print(to_install('demo'))"
    assert python(installed, code) == "pip install 'linenet[demo]'\n"
    overlay = (installed / "linenet/configs/with/wandb.yaml").read_text()
    assert "pip install 'linenet[wandb]'" in overlay


@pytest.mark.parametrize("own", [True, False])
def test_a_clone_installs_extras_into_the_environment_that_runs(
    own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(sys, "prefix", str(PROJECT / ".venv" if own else tmp_path))
    assert to_install("demo") == ("./scripts/setup demo" if own else "pip install -e '.[demo]'")


@pytest.mark.slow
def test_it_trains_and_goes_on_with_runs_of_the_clone(installed: Path, data_root: Path) -> None:
    places = [(installed, "linenet.scripts"), (PROJECT, "scripts")]
    ours, clone = (partial(python, place, ENTRY.format(name)) for place, name in places)
    fit = ["fit", "--config", "mnist_relu_mlp", "--data.root", str(data_root), "--data.verify",
           "false", "--data.val_size", "50", "--figures.only", "[]",
           "--trainer.max_epochs"]  # fmt: skip
    runs = [f"lightning_logs/mnist_relu_mlp/version_{n}" for n in (0, 1)]
    for command in (ours, clone):
        assert "test/acc" in command(*fit, "1")
    for run, command in zip(runs, (clone, ours), strict=True):  # each with the other's run
        command("test", "--run", run)
        assert "epochs" in command("fit", "--resume", run, "--trainer.max_epochs", "2")
    results = [json.loads(Path(run, "results.json").read_text()) for run in runs]
    assert [one["epochs"] for one in results] == [2, 2]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert [bool(one["git"]) for one in results] == [(PROJECT / ".git").exists(), False]
    began = "linenet fit --config mnist_relu_mlp.yaml --data.root "
    assert all(text.startswith(began) for text in (results[0]["command"], first_command(runs[0])))
    assert "mnist_relu_mlp" in ours("compare")


def first_command(run: str) -> str:
    return str(json.loads(Path(run, "provenance.json").read_text())["sessions"][0]["command"])


def test_a_command_is_kept_as_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    words = completed(["--config", "mnist_mlp", "--config=with/fast", "--note", "a b"])
    assert str(shown(CONFIGS)) in words[1]
    monkeypatch.setattr("src.arguments.INSTALLED", True)
    assert as_typed(["fit", *words]) == (
        "python -m src.cli fit --config mnist_mlp.yaml --config=with/fast.yaml --note 'a b'"
    )


def test_classes_are_called_as_they_are_here() -> None:
    settings = {"a": ["linenet.models.LeNet", "src.data.MNIST", "linenet", "torch.src.x", 1]}
    found = named_here(settings)
    assert found == {"a": ["src.models.LeNet", "src.data.MNIST", "linenet", "torch.src.x", 1]}


def test_a_path_is_shown_the_shorter_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(tmp_path / "a" / "b.yaml") == "a/b.yaml"
    assert shown(Path("/x")) == "/x"

    def other_drive(path: Path) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("src.places.relpath", other_drive)
    assert shown(tmp_path / "a") == str(tmp_path / "a")
