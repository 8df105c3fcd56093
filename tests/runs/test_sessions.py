"""Each session of a training keeps what it depended on, with its changes, and once only."""

from pathlib import Path

from src.runs.sessions import add_session, sessions


def test_equal_sessions_are_kept_once_and_other_changes_apart(tmp_path: Path) -> None:
    for started, threads, changes in ((1, 1, b"x"), (2, 1, b"x"), (3, 2, b"x"), (4, 2, b"y"),
                                      (5, 2, b"")):  # fmt: skip
        add_session(tmp_path, {"started": started, "threads": threads}, changes)
    kept = [(one["started"], one["changes"]) for one in sessions(tmp_path)]
    assert kept == [(1, "changes.diff"), (3, "changes.diff"), (4, "changes-2.diff"), (5, None)]
    assert (tmp_path / "changes.diff").read_bytes() == b"x"
    assert (tmp_path / "changes-2.diff").read_bytes() == b"y"


def test_a_run_of_an_earlier_version_has_no_sessions(tmp_path: Path) -> None:
    assert sessions(tmp_path) == []
