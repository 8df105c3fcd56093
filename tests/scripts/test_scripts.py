"""./scripts/run, and the table of results."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import PROJECT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of ./scripts/run and the tools, with a set-up whose Python prints its arguments."""
    shutil.copytree(PROJECT / "scripts", tmp_path / "scripts")
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho called: "$@"\n')
    setup = f'#!/bin/sh\necho set-up "$@" >&2\necho {python}\n'
    (tmp_path / "scripts/setup").write_text(setup)
    python.chmod(0o755)
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


def test_set_up_is_told_the_command(checkout: Path) -> None:
    command = [str(checkout / "scripts/run"), "draw", "a b"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "set-up --for draw a b\n"
    assert done.stdout == "called: -m scripts.draw a b\n"


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
