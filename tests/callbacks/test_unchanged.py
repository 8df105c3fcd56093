"""A run that does not change its weights says so."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
LINE = ["fit", "--config", PROJECT / "configs/line.yaml", "--trainer.max_epochs=2"]


def test_weights_that_do_not_change_are_named(run: Run) -> None:
    named = r"not changed net.1.weight, net.1.bias: the run trains nothing there"
    with pytest.warns(UserWarning, match=named):
        run(*LINE, "--model.optimizer.lr=1e-20")


def test_a_usual_run_and_a_warm_up_are_not_warned(run: Run) -> None:
    run(*LINE)
    run(*LINE, "--model.scheduler=LinearLR", "--model.scheduler.start_factor=0.001",
        "--model.scheduler_interval=step")  # fmt: skip
