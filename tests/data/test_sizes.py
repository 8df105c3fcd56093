"""Runs on the smallest data sets, and with batch sizes that do not divide the data."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import PROJECT


@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    [((1, 1, 1), 100), ((250, 50, 130), 1000), ((250, 50, 130), 83)],
    ids=["one image and most classes missing", "a batch of more than all", "one left over"],
)
def test_metrics_are_means_over_every_image(
    run: Callable[..., dict[str, Any]], sizes: tuple[int, int, int], batch_size: int
) -> None:
    names = ("train", "val", "test")
    options = [f"--data.{name}_size={n}" for name, n in zip(names, sizes, strict=True)]
    config = str(PROJECT / "configs/mnist_logistic.yaml")
    words = [*options, f"--data.batch_size={batch_size}", "--trainer.max_epochs=2"]
    results = run("fit", "--config", config, *words)
    assert results["dataset"]["sizes"] == dict(zip(names, sizes, strict=True))
    assert results["steps"] == 2 * -(-sizes[0] // batch_size)
    for name, n in zip(names, sizes, strict=True):
        right = n * results["metrics"][f"{name}/acc"]
        assert right == pytest.approx(round(right), abs=1e-4)
