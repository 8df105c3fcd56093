"""The run identity: a changed setting is refused, and both values are named."""

import pytest

from src.errors import UserError
from src.runs.identity import refuse


def test_both_values_of_a_change_are_named() -> None:
    refuse({"model.bias": True}, {"model.bias": True})
    with pytest.raises(UserError, match=r"model.bias was True, is False\.\n"):
        refuse({"model.bias": True}, {"model.bias": False})


def test_another_length_is_refused_because_of_one_cycle() -> None:
    with pytest.raises(UserError, match=r"was 5, is 9\. Schedule or averaging have a fixed length"):
        refuse({"trainer.max_epochs": 5}, {"trainer.max_epochs": 9})


def test_of_many_changes_three_are_named() -> None:
    then = {f"a{i}": 0 for i in range(5)}
    with pytest.raises(UserError, match="a2 was 0, is None; and 2 more"):
        refuse(then, {})
