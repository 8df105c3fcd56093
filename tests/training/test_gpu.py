"""A run on the GPU records its device, and reaches the loss of a run on the CPU."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
FIT = ["fit", "--config", str(PROJECT / "configs/mnist_relu_mlp.yaml"), "--data.val_size=50",
       "--trainer.max_epochs=2"]  # fmt: skip


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:GPU available but not used")
def test_a_run_on_the_gpu_reaches_the_loss_of_the_cpu(run: Run) -> None:
    on_gpu = run(*FIT, "--trainer.accelerator=gpu")
    on_cpu = run(*FIT, "--trainer.accelerator=cpu")
    assert on_gpu["device"].startswith("cuda: ")
    assert on_gpu["metrics"]["test/loss"] == pytest.approx(on_cpu["metrics"]["test/loss"], abs=1e-3)
