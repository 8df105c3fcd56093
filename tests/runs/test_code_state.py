"""Commit and uncommitted changes are those of git, and the patch restores the code."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.runs import code_state
from src.runs.code_state import Changes
from tests.conftest import PROJECT


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Look anew in each test, and afterwards: a process keeps what it has found."""
    for looked_up in (code_state.git_state, code_state.changes):
        looked_up.cache_clear()
    yield
    for looked_up in (code_state.git_state, code_state.changes):
        looked_up.cache_clear()


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=b", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one commit, whose state is asked for."""
    folder = tmp_path / "clone"
    (folder / "src").mkdir(parents=True)
    (folder / "src/old.py").write_text("a = 1\n")
    (folder / ".gitignore").write_text("__pycache__\n")
    git(folder.parent, "init", "--quiet", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    monkeypatch.setattr(code_state, "PROJECT", folder)
    return folder


def test_the_commit_equals_that_of_git() -> None:
    command = ["git", "-C", str(PROJECT), "rev-parse", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    state = code_state.git_state()
    assert (state or {}).get("commit") == (result.stdout.strip() or None)


def test_outside_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert code_state.git_state() is None
    assert code_state.changes() == Changes()


def test_committed_code_has_no_changes(clone: Path) -> None:
    assert code_state.git_state() == {"commit": git(clone, "rev-parse", "HEAD").strip(),
                                      "dirty": False}  # fmt: skip
    assert code_state.changes() == Changes()


def test_the_patch_restores_changed_new_and_removed_files(clone: Path, tmp_path: Path) -> None:
    git(clone.parent, "clone", "--quiet", "clone", "other")
    git(clone, "config", "diff.noprefix", "true")
    (clone / "src/old.py").write_bytes(b"a = 2\r\nno end")
    (clone / "src/new file.py").write_text("b = 3\n")
    (clone / "src/data.bin").write_bytes(bytes(range(256)))
    (clone / "src/__pycache__").mkdir()
    (clone / "src/__pycache__/x").write_text("ignored")
    (clone / "src/large").write_bytes(os.urandom(code_state.LARGEST + 1))
    before = git(clone, "status", "--porcelain")
    changes = code_state.changes()
    assert changes.missing == "src/large"
    (tmp_path / "changes.diff").write_bytes(changes.patch)
    assert git(clone, "status", "--porcelain") == before
    git(tmp_path / "other", "apply", "../changes.diff")
    there = tmp_path / "other/src"
    assert {path.name for path in there.iterdir()} == {"old.py", "new file.py", "data.bin"}
    for path in there.iterdir():
        assert path.read_bytes() == (clone / "src" / path.name).read_bytes()


def test_a_link_into_nowhere_and_a_repository_within_do_not_lose_the_patch(clone: Path) -> None:
    (clone / "src/old.py").write_text("a = 2\n")
    (clone / "src/.#old.py").symlink_to("user@host.1:2")  # Emacs, while a buffer is not saved
    git(clone, "init", "--quiet", "src/other")
    (clone / "src/other/x.py").write_text("b = 1\n")
    patch, missing = code_state.changes()
    assert b"+a = 2" in patch
    assert patch.count(b"diff --git") == 1
    assert missing == "src/.#old.py, src/other/"


def test_names_are_no_patterns(clone: Path) -> None:
    (clone / "src/*").write_text("b = 1\n")
    (clone / "src/large").write_bytes(os.urandom(code_state.LARGEST + 1))
    assert code_state.changes().patch.count(b"diff --git") == 1


def test_a_patch_that_is_too_large_and_an_error_of_git_are_told(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "src/old.py").write_text("a = 2\n" * code_state.LARGEST)
    assert code_state.changes() == Changes(missing="7,000,128 bytes, more than 1,000,000")
    code_state.changes.cache_clear()
    monkeypatch.setattr(code_state, "DIFF", ("diff", "--no-such-option"))
    assert code_state.changes().missing.startswith("git failed: ")


def test_the_index_of_the_user_is_neither_locked_nor_written(clone: Path) -> None:
    os.utime(clone / "src/old.py", (0, 0))  # git status would note the new time
    (clone / "src/new.py").write_text("b = 1\n")
    before = (clone / ".git/index").read_bytes()
    assert code_state.changes().patch
    assert (clone / ".git/index").read_bytes() == before
