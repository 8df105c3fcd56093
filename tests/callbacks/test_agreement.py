"""Processes that differ are refused, with both values and both hosts."""

import pytest

from src.callbacks.agreement import compare
from src.errors import UserError

FACTS = {"data.batch_size": 50, "contents of the data": "ab12", "the checkpoint": None}


def test_equal_processes_are_accepted() -> None:
    compare([("first", FACTS), ("second", {**FACTS}), ("third", {**FACTS})])


@pytest.mark.parametrize("changed", FACTS)
def test_the_first_difference_is_named(changed: str) -> None:
    other = {**FACTS, changed: "other"}
    with pytest.raises(UserError) as refused:
        compare([("first", FACTS), ("second", {**FACTS}), ("third", other)])
    message = str(refused.value)
    assert "Process 2, on third, differs from process 0, on first" in message
    assert f"{changed} is other, not {FACTS[changed]}." in message
    assert len(message.splitlines()) == 2
