"""A training step with its loss, gradient and update, without the hooks that nobody overrides."""

from collections.abc import Callable
from math import prod
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor

from src.data.loader import BatchLoader

BLOCK, MOST = 2**20, 64  # values, and batches, that are prepared together: 4 MB
Call = Callable[..., None]  # calls a hook of callbacks by its name


def call_nobody(hook: str, *args: Any) -> None:
    """Call no callback."""


class PlainStep:
    """What happens to a batch in a step: it is prepared, and the weights are updated by it.

    Args:
        trainer: The trainer, with one optimizer.
        loader: The loader of the training batches.
    """

    def __init__(self, trainer: Trainer, loader: BatchLoader) -> None:
        self.trainer, self.loader = trainer, loader
        self.model: Any = trainer.lightning_module
        self.data: Any = trainer.datamodule
        self.optimizer: Any = trainer.optimizers[0]
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]

    def batches_in_block(self) -> int:
        """Return how many batches are prepared together, which takes less time for each."""
        values = prod(self.data.input_shape) * self.data.batch_size
        return min(max(1, BLOCK // values), MOST) if self.data.alike_batches else 1

    def prepared(self, batch: tuple[Tensor, ...], together: bool = False) -> tuple[Tensor, ...]:
        """Return a batch, or several together, on the device, augmented and normalised."""
        device = self.trainer.strategy.root_device
        moved = tuple(part.to(device, non_blocking=device.type == "cuda") for part in batch)
        if together:
            return self.data.prepared_together(moved)
        return self.data.on_after_batch_transfer(moved, 0)

    def update(self, batch: tuple[Tensor, ...], call: Call = call_nobody) -> Tensor:
        """Update the weights by the gradient of a prepared batch, and return its loss."""
        loss: Any = None  # the last one, where an optimizer calls the closure several times

        def closure() -> Any:
            nonlocal loss
            loss, _ = self.model.measured(batch, "train")
            for parameter in self.parameters:
                parameter.grad = None
            call("on_before_backward", loss)
            loss.backward()
            call("on_before_optimizer_step", self.optimizer)
            return loss

        self.optimizer.step(closure)
        return loss.detach()
