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
from src.training.finite import NotFinite, explain
from src.training.plain_step import PlainStep

Step = Callable[[], None]
WARM_UP = 3  # steps on another stream before the capture, as the notes on CUDA graphs demand


class FixedStep:
    """A training step that reads its batch from the order of an epoch, at a place on the device.

    Args:
        step: The plain step, which has been made once: the optimizer has its state.
        record: Returns a function that repeats a step, and leaves the given tensors as they were.
    """

    def __init__(self, step: PlainStep, record: Callable[[Step, Sequence[Tensor]], Step]) -> None:
        self.step, self.loader, self.model = step, step.loader, step.model
        self.optimizer, loader, device = step.optimizer, step.loader, step.loader.x.device
        room = len(loader.indices) + (WARM_UP + 1) * loader.batch_size  # for the steps tried first
        self.order = torch.zeros(room, dtype=torch.int64, device=device)
        self.range = torch.arange(loader.batch_size, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)  # of the batch in the order
        self.failed = torch.full_like(self.place, -1)  # that of the first loss that is not finite
        self.loss = torch.zeros((), device=device)
        own = [self.place, self.failed, self.loss]
        of_optimizer = [v for s in self.optimizer.state.values() for v in s.values()]
        state = [*self.model.state_dict().values(), *self.model.running_sums(), *own]
        self.made_for = self._circumstances()
        with rates_on_device(self.optimizer) as self.rates:
            self.repeat = record(self._step, [*state, *filter(torch.is_tensor, of_optimizer)])
        self.gradients = [p.grad for p in step.parameters]

    def fits(self, loader: BatchLoader) -> bool:
        """Return whether the step is still that of the loader, the model and the optimizer."""
        return self.loader is loader and self.made_for == self._circumstances()

    def _circumstances(self) -> list[Any]:
        """Return what a captured step has fixed: memory, frozen parameters, settings but rates."""
        tensors = [
            (name, one.data_ptr()) for name, one in self.model.state_dict(keep_vars=True).items()
        ]
        frozen = [one.requires_grad for one in self.model.parameters()]
        settings = [
            {key: value for key, value in group.items() if key not in ("params", "lr")}
            for group in self.optimizer.param_groups
        ]
        return [tensors, frozen, settings, self.model.training]

    def start(self, order: Tensor, batch: int) -> None:
        """Begin at a batch of an order."""
        self.order[: len(order)] = order
        self.place.fill_(batch * self.loader.batch_size)
        for parameter, gradient in zip(self.step.parameters, self.gradients, strict=True):
            parameter.grad = gradient

    def __call__(self) -> Tensor:
        """Make the step on the next batch and return its loss."""
        for rate, group in zip(self.rates, self.optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])
        self.repeat()
        return self.loss

    def check(self) -> None:
        """Raise NotFinite if the loss of a step was not finite; later steps have been made."""
        if (failed := int(self.failed)) >= 0:
            later = (int(self.place) - failed) // self.loader.batch_size
            step = self.step.trainer.global_step - later
            saved = "No checkpoint holds that step."
            raise NotFinite(explain("The loss is not finite", saved, self.step.trainer, step))

    def _step(self) -> None:
        chosen = self.order.index_select(0, self.place + self.range)
        batch = self.loader.x.index_select(0, chosen), self.loader.y.index_select(0, chosen)
        self.loss.copy_(self.step.update(self.step.prepared(batch)))
        self.model.running_sums()  # counts the right classes within this step
        first = (self.failed < 0) & ~self.loss.isfinite()
        self.failed.copy_(torch.where(first, self.place, self.failed))
        self.place.add_(self.loader.batch_size)


def uncaptured(trainer: Trainer, loader: BatchLoader) -> str | None:
    """Return why the steps of a run are not captured; None if they can be."""
    optimizer = trainer.optimizers[0]
    schedulers = [one.scheduler for one in trainer.lr_scheduler_configs]
    reasons = {
        "no GPU": trainer.strategy.root_device.type != "cuda",
        "the data is too large for the GPU": not loader.x.is_cuda,
        "augmentation": not trainer.datamodule.alike_batches,
        type(optimizer).__name__: type(optimizer) not in (SGD, Adam, AdamW),
        "fused is off": not all(group.get("fused") for group in optimizer.param_groups),
        "the momentum changes": any(getattr(one, "cycle_momentum", False) for one in schedulers),
        # The weights of a line are logged before each step.
        "a line": all(one.numel() == 1 for one in trainer.lightning_module.parameters()),
    }
    return next((why for why, holds in reasons.items() if holds), None)


@contextmanager
def rates_on_device(optimizer: Optimizer) -> Iterator[list[Tensor]]:
    """Let an optimizer read its learning rates from tensors, as a captured step must.

    Usual steps on a GPU do so, too: with a rate of 64 bits, their last bits would differ.
    """
    before = [dict(group) for group in optimizer.param_groups]
    rates = []
    for group in optimizer.param_groups:
        rates.append(torch.tensor(group["lr"], device=group["params"][0].device))
        group["lr"] = rates[-1]
        if "capturable" in group:
            group["capturable"] = rates[-1].is_cuda
    try:
        yield rates
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
