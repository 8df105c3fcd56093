"""The entry of the command line: help, versions and mistyped commands, without torch."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from src import cli
from tests.conftest import PROJECT


def entry(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the entry where importing torch or Lightning fails."""
    code = "import sys; sys.modules.update(torch=None, lightning=None); import src.cli as c; "
    command = [sys.executable, "-c", code + f"c.main({list(words)})"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_no_arguments_print_the_help_and_exit_with_2_without_torch() -> None:
    done, with_flag = entry(), entry("--help")
    assert (done.returncode, with_flag.returncode) == (2, 0)
    assert done.stdout == with_flag.stdout
    for name in ("fit", "validate", "test", "predict", "compare", "lesson", "faults", "bench"):
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f"  {name} ")]
        assert len(line.split()) > 3
    assert len(done.stdout.splitlines()) < 30


def test_each_tool_is_listed_with_one_line_of_its_docstring() -> None:
    for name, text in cli.tools().items():
        assert 10 < len(text) < 86, name
        assert text.endswith((".", ":"))


def test_the_version_names_commit_torch_and_lightning() -> None:
    first, *others = entry("--version").stdout.splitlines()
    assert first.startswith(f"linenet {version('linenet')} (")
    assert others == [f"{name} {version(name)}" for name in ("torch", "lightning")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "Did you mean fit?"),
        (["tset"], "Did you mean test?"),
        (["compare", "x"], "compare is a tool.\nStart it with ./scripts/run compare"),
        (["--config", "x.yaml"], "Did you mean python -m src.cli fit --config x.yaml?"),
        (["--data.root", "a b", "test"], "Did you mean python -m src.cli test --data.root 'a b'?"),
        (["--config"], "the command comes first, before --config"),
        (["--versoin"], "Did you mean --version?"),
        (["test"], "test needs a run: give --run lightning_logs/NAME/version_N, or latest."),
        (["predict", "--images", "x"], "predict needs a run"),
    ],
)
def test_a_wrong_command_gets_a_suggestion_without_importing_torch(
    words: list[str], message: str
) -> None:
    done = entry(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.parametrize("after", [["--help", "--version", "fit"], ["--", "x"], ["--run"], []])
def test_arguments_after_the_command_are_kept(after: list[str]) -> None:
    assert cli.parse(["fit", *after]) == ("fit", after)
