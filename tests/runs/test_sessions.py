"""Each session of a training keeps what it depended on, with its changes, and once only."""

from pathlib import Path

from src.runs.code_state import Changes
from src.runs.sessions import add_session, sessions


def test_equal_sessions_are_kept_once_and_other_changes_apart(tmp_path: Path) -> None:
    for started, threads, changes in ((1, 1, b"x"), (2, 1, b"x"), (3, 2, b"x"), (4, 2, b"y"),
                                      (5, 2, b"")):  # fmt: skip
        add_session(tmp_path, {"started": started, "threads": threads}, Changes(changes))
    kept = [(one["started"], one["changes"]) for one in sessions(tmp_path)]
    assert kept == [(1, "changes.diff"), (3, "changes.diff"), (4, "changes-2.diff"), (5, None)]
    assert (tmp_path / "changes.diff").read_bytes() == b"x"
    assert (tmp_path / "changes-2.diff").read_bytes() == b"y"


def test_what_is_missing_of_the_changes_is_told(tmp_path: Path) -> None:
    for changes in (
        Changes(b"x"),
        Changes(b"x", "src/large"),
        Changes(missing="too large"),
    ):
        add_session(tmp_path, {"threads": 1}, changes)
    assert sessions(tmp_path) == [
        {"threads": 1, "changes": "changes.diff"},
        {"threads": 1, "changes": "changes.diff", "changes_missing": "src/large"},
        {"threads": 1, "changes": None, "changes_missing": "too large"},
    ]


def test_a_run_of_an_earlier_version_has_no_sessions(tmp_path: Path) -> None:
    assert sessions(tmp_path) == []
