"""The command `linenet` starts the command line, or a tool by its name."""

import sys
from pathlib import Path

import pytest

from scripts.shared import entry
from src.places import to_install
from tests.conftest import PROJECT


def linenet(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["linenet", *words])
    entry.main()


def test_its_help_is_that_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        linenet(monkeypatch, "--help")
    assert stop.value.code == 0
    assert "fit " in capsys.readouterr().out


@pytest.mark.parametrize("tool", ["lesson", "compare"])  # a file, and a folder
def test_a_tool_is_a_subcommand(
    tool: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (f"scripts.{tool}", f"scripts.{tool}.__main__"):  # of another test
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SystemExit) as stop:
        linenet(monkeypatch, tool, "--help")
    assert stop.value.code == 0
    assert f"./scripts/run {tool}" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["compre", "../scripts/peek", "shared", "--", "setup"])
def test_another_word_goes_to_the_command_line(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        linenet(monkeypatch, word)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    monkeypatch.delitem(sys.modules, "scripts.completion", raising=False)
    with pytest.raises(SystemExit) as stop:
        linenet(monkeypatch, "completion", "bash")
    assert str(stop.value.code) == (
        "error: completion needs shtab, which is not installed.\n"
        f"Install it: {to_install('completion')}"
    )


def test_pyproject_names_it() -> None:
    assert 'linenet = "scripts.shared.entry:main"' in (PROJECT / "pyproject.toml").read_text()
