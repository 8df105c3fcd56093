"""Limits of batches count in the user's batches, and the table says how many samples were used."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
SMALL = ["fit", "--config", PROJECT / "configs/mnist_logistic.yaml", "--data.val_size=60",
         "--data.batch_size=20", "--trainer.max_epochs=2", "--model.scheduler=null"]  # fmt: skip


pytestmark = pytest.mark.filterwarnings("ignore:You requested to overfit but enabled")


@pytest.mark.parametrize(
    ("limits", "used"),  # of 240 training, 60 validation and 130 test images
    [
        ([], (240, 60, 130)),
        (["limit_train_batches=3", "limit_val_batches=2", "limit_test_batches=4"], (60, 40, 80)),
        (["limit_val_batches=1", "limit_test_batches=1"], (240, 20, 20)),
        (["limit_val_batches=0.5", "limit_test_batches=0.5"], (240, 20, 60)),
        (["limit_val_batches=0.01", "limit_test_batches=0.01"], (240, 20, 20)),
        (["overfit_batches=0.1"], (20, 20, 130)),
        (["overfit_batches=2"], (40, 40, 130)),
        (["overfit_batches=0.01"], (20, 20, 130)),
        (["limit_train_batches=0.01"], (20, 60, 130)),
        (["max_steps=5"], (100, 60, 130)),
        (["max_steps=17"], (240, 60, 130)),
    ],
)
def test_limits_count_in_batches_of_the_user(
    limits: list[str], used: tuple[int, ...], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run(*SMALL, *(f"--trainer.{limit}" for limit in limits))
    assert (results["trained"], results["validated"], results["tested"]) == used
    names = ("train", "val", "test")
    sizes = zip(used, (240, 60, 130), names, strict=True)
    texts = [f"{n} {name}" if n == all_ else f"{n} of {all_} {name}" for n, all_, name in sizes]
    assert ", ".join(texts) in capsys.readouterr().out


def test_overfitting_without_validation_does_not_validate(run: Run) -> None:
    off = ["--trainer.overfit_batches=2", "--trainer.limit_val_batches=0"]
    results = run(*SMALL, *off, "--checkpoint.monitor=train/loss")
    assert results["validated"] == 0
    assert not any(name.startswith("val/") for name in results["metrics"])


def test_the_accuracy_of_a_cut_epoch_is_marked(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*SMALL, "--trainer.max_steps=17")["partial_epoch"]
    assert "train/acc, part of an epoch" in capsys.readouterr().out
    assert not run(*SMALL, "--trainer.max_steps=24")["partial_epoch"]
    assert "part of an epoch" not in capsys.readouterr().out
