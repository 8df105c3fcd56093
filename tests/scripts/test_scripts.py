"""./scripts/run, ./scripts/setup, and the table of results."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import PROJECT

PYTHON = '#!/bin/sh\necho called: "$@"\n'  # a fake .venv/bin/python


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of scripts/ and pyproject.toml whose .venv is up to date and prints its arguments."""
    shutil.copytree(PROJECT / "scripts", tmp_path / "scripts")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text(PYTHON)
    (tmp_path / ".venv/bin/python").chmod(0o755)
    with (tmp_path / "pyproject.toml").open() as file:
        stamp = subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True)
    (tmp_path / ".venv/installed").write_text(stamp.stdout)
    return tmp_path


def run(checkout: Path, *words: str) -> list[str]:
    command = [str(checkout / "scripts/run"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    return done.stdout.splitlines()


def test_run_starts_the_command_line(checkout: Path) -> None:
    assert run(checkout, "fit", "--config", "a b.yaml") == [
        "called: -m src.cli fit --config a b.yaml"
    ]


def test_run_starts_a_tool_by_its_name(checkout: Path) -> None:
    assert run(checkout, "results", "--seeds", "2") == ["called: -m scripts.results --seeds 2"]


def test_an_extra_is_installed_on_first_use_only(checkout: Path) -> None:
    (checkout / "scripts/tool.py").write_text('"""A tool."""\n# extra: demo\n')
    pip = subprocess.run([checkout / "scripts/setup", "demo"], capture_output=True, text=True)
    assert (
        f"pip install --disable-pip-version-check --quiet --editable {checkout}[demo]" in pip.stderr
    )
    assert pip.stdout.strip() == str(checkout / ".venv/bin/python")
    assert "demo" in (checkout / ".venv/installed").read_text().splitlines()
    assert run(checkout, "tool", "x") == ["called: -m scripts.tool x"]


def test_an_unknown_extra_is_refused(checkout: Path) -> None:
    command = [checkout / "scripts/setup", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no extra [nonsense]" in done.stderr
    assert "export demo completion sweep wandb mlflow trackio test" in done.stderr
    assert "nonsense" not in (checkout / ".venv/installed").read_text()


def test_a_changed_pyproject_updates_the_environment_with_its_extras(checkout: Path) -> None:
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    with (checkout / ".venv/installed").open("a") as file:
        file.write("demo\nsweep\n")
    command = [str(checkout / "scripts/setup")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"--quiet --editable {checkout}[demo,sweep]" in done.stderr
    with (checkout / "pyproject.toml").open() as file:
        stamp = subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True)
    installed = (checkout / ".venv/installed").read_text()
    assert installed == f"{stamp.stdout}demo\nsweep\n"
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stderr == ""


def test_a_new_environment_is_made_where_there_is_none(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    fake = checkout / "bin"
    fake.mkdir()
    (fake / "python3").write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exit 0\necho made "$@"\n'
        f"mkdir -p {checkout}/.venv/bin\n"
        f"printf '#!/bin/sh\\n' > {checkout}/.venv/bin/python\n"
        f"chmod +x {checkout}/.venv/bin/python\n"
    )
    (fake / "python3").chmod(0o755)
    command = [str(checkout / "scripts/setup")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PATH": f"{fake}:/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr
    assert f"made -m venv --clear {checkout}/.venv" in done.stderr
    assert len((checkout / ".venv/installed").read_text().splitlines()) == 1


def test_the_environment_behind_a_link_is_not_cleared(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv").rename(tmp_path / "other")
    (checkout / ".venv").symlink_to(tmp_path / "other")
    command = [str(checkout / "scripts/setup")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert ".venv is a link" in done.stderr
    assert (tmp_path / "other/installed").exists()


@pytest.fixture
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", PROJECT / "scripts/results.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(seed: int, acc: float, seconds: float) -> dict[str, object]:
    return {
        "seed": seed, "metrics": {"test/acc": acc, "test/loss": 0.1}, "epochs": 4,
        "seconds": {"fit": seconds}, "parameters": 1234, "device": "cpu",
        "git": None, "versions": {"torch": "2.13.0", "lightning": "2.6.6"},
    }  # fmt: skip


def test_a_row_is_mean_and_sample_deviation(results: ModuleType) -> None:
    runs = [example(seed, acc, 10.0 * seed) for seed, acc in enumerate([0.97, 0.98, 0.99])]
    assert results.row("toy", runs) == "| `toy.yaml` | 98.00 ± 1.00 % | 4 | 10 | 1,234 |"
    assert "over 3 seeds" in results.caption(runs)


def test_the_table_names_existing_configs(results: ModuleType) -> None:
    files = {path.stem for path in (PROJECT / "configs").glob("*.yaml")}
    assert set(results.LADDER) <= files - {
        "defaults",
        "fashion_lenet",
        "fashion_mlp",
        "folder_lenet",
    }
