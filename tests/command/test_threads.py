"""A run computes with the threads that were chosen, a run of a tool with its share."""

import pytest
import torch
from jsonargparse import Namespace

from scripts.many.warm import share
from src.command.threads import SHARE, use_threads


@pytest.mark.parametrize(
    ("given", "of_tool", "used"), [(None, "", 1), (2, "", 2), (2, "3", 3), (None, "3", 3)]
)
def test_the_share_of_a_tool_comes_first(
    given: int | None, of_tool: str, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.command.threads.parent_process", lambda: object())
    monkeypatch.setenv(SHARE, of_tool)
    use_threads(config := Namespace(threads=given))
    assert torch.get_num_threads() == used
    assert config.threads == (used if given or of_tool else None)


@pytest.mark.parametrize("left_over", ["3", "two", "-1"])
def test_a_variable_that_no_tool_has_set_is_ignored(
    left_over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARE, left_over)
    for given, used in ((None, 1), (2, 2)):
        use_threads(config := Namespace(threads=given))
        assert (config.threads, torch.get_num_threads()) == (given, used)


def test_runs_at_once_share_the_threads() -> None:
    assert [share(jobs, 8) for jobs in (1, 3, 8, 16)] == [8, 2, 1, 1]
