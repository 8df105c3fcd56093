"""A training step over fixed buffers: a GPU captures it once as a CUDA graph, and replays it.

Batches are taken by index on the device, so that a step needs nothing from Python. Loss, sums and
the look for NaN stay on the device, too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from src.data.loader import BatchLoader
from src.errors import UserError
from src.training.finite import explain

Step = Callable[[], None]
WARM_UP = 3  # steps on another stream before the capture, as the notes on CUDA graphs demand


class FixedStep:
    """A training step that reads its batch from the order of an epoch, at a place on the device.

    Args:
        trainer: The trainer, which has made a step: the optimizer has its state.
        loader: The loader of the training batches.
        record: Returns a function that repeats a step, and leaves the given tensors as they were.
    """

    def __init__(
        self,
        trainer: Trainer,
        loader: BatchLoader,
        record: Callable[[Step, Sequence[Tensor]], Step],
    ) -> None:
        model: Any = trainer.lightning_module
        self.trainer, self.loader, self.model = trainer, loader, model
        self.optimizer, device = trainer.optimizers[0], loader.x.device
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.order = torch.zeros(len(loader.indices), dtype=torch.int64, device=device)
        self.range = torch.arange(loader.batch_size, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)  # of the batch in the order
        self.failed = torch.full_like(self.place, -1)  # that of the first loss that is not finite
        self.loss = torch.zeros((), device=device)
        self.rates = [torch.tensor(g["lr"], device=device) for g in self.optimizer.param_groups]
        own = [self.place, self.failed, self.loss]
        of_optimizer = [v for s in self.optimizer.state.values() for v in s.values()]
        state = [*model.state_dict().values(), *model.running_sums(), *own]
        with rates_on_device(self.optimizer, self.rates):
            self.repeat = record(self._step, [*state, *filter(torch.is_tensor, of_optimizer)])
        self.gradients = [p.grad for p in self.parameters]

    def whole_batches(self) -> int:
        """Return how many of the remaining batches of the epoch are whole."""
        return len(self.order) // self.loader.batch_size - self.loader.batch

    def start(self) -> None:
        """Begin at the next batch of the loader."""
        self.order.copy_(self.loader.begin())
        self.place.fill_(self.loader.batch * self.loader.batch_size)
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient

    def __call__(self) -> Tensor:
        """Make the step on the next batch and return its loss."""
        for rate, group in zip(self.rates, self.optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])
        self.repeat()
        self.loader.batch += 1
        return self.loss

    def check(self) -> None:
        """Raise UserError if the loss of a step was not finite; later steps have been made."""
        failed = int(self.failed) // self.loader.batch_size
        if failed >= 0:
            step = self.trainer.global_step - (self.loader.batch - failed)
            saved = "No checkpoint holds that step."
            raise UserError(explain("The loss is not finite", saved, self.trainer, step))

    def _step(self) -> None:
        chosen = self.order.index_select(0, self.place + self.range)
        batch = self.loader.x.index_select(0, chosen), self.loader.y.index_select(0, chosen)
        loss, _ = self.model.measured(
            self.trainer.datamodule.on_after_batch_transfer(batch, 0), "train"
        )
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        self.optimizer.step()
        self.model.running_sums()  # counts the right classes within this step
        self.loss.copy_(loss.detach())
        first = (self.failed < 0) & ~self.loss.isfinite()
        self.failed.copy_(torch.where(first, self.place, self.failed))
        self.place.add_(self.loader.batch_size)


def capturable(trainer: Trainer, loader: BatchLoader) -> bool:
    """Return whether a step can be captured: all of it on a GPU, and only learning rates change."""
    optimizer, schedulers = trainer.optimizers[0], trainer.lr_scheduler_configs
    return (
        loader.x.is_cuda
        and trainer.datamodule.alike_batches
        and type(optimizer) in (SGD, Adam, AdamW)
        and all(group["fused"] for group in optimizer.param_groups)
        and not any(getattr(one.scheduler, "cycle_momentum", False) for one in schedulers)
    )


@contextmanager
def rates_on_device(optimizer: Optimizer, rates: Sequence[Tensor]) -> Iterator[None]:
    """Let an optimizer read its learning rates from tensors, as a captured step must."""
    before = [dict(group) for group in optimizer.param_groups]
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        if "capturable" in group:
            group["capturable"] = rate.is_cuda
    try:
        yield
    finally:
        for group, settings in zip(optimizer.param_groups, before, strict=True):
            group.clear()
            group.update(settings)


def captured(step: Step, state: Sequence[Tensor]) -> Step:
    """Capture a step as a CUDA graph and return its replay; the state is as before.

    See the notes on CUDA graphs of PyTorch's documentation ("CUDA semantics").
    """
    before = [one.detach().clone() for one in state]
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph):
        step()
    for one, value in zip(state, before, strict=True):
        one.detach().copy_(value)
    return graph.replay
