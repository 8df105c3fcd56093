"""Trains the same models without linenet, as baselines for bench.

    python -m scripts.bench.contenders plain configs/mnist_lenet.yaml --epochs 3

`plain` is a handwritten training loop, `floor` is that loop on a single batch, `compiled` has its
network compiled by torch.compile, `captured` is its step as a CUDA graph, `template` is a typical
Lightning project, and `loader` only iterates over linenet's batches; each prints the seconds of
every epoch. `difference` prints the absolute differences between the losses of `plain` and of
linenet in the first steps.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from itertools import chain, count, islice
from pathlib import Path
from typing import cast

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.bench.task import Task
from scripts.bench.template import template
from src.cli import main as linenet
from src.data.loader import BatchLoader
from src.runs.curves import read_curves
from src.training.fixed_step import captured as as_graph
from src.training.seeds import step_seeds

STEPS = 50  # whose losses are compared; rounding errors grow with each step
Seconds = Iterator[float]


def training(task: Task, steps: int, same_batch: bool = False) -> Iterator[Tensor]:
    """Yield the loss of each step of the handwritten loop.

    Images are normalised once and batches are selected by index.
    """
    data, net, device = task.data, task.net, task.device
    split, batches = data.splits["train"], data.train_dataloader()  # for linenet's sample order
    x, y = ((split.x.float() - data.mean) / data.std).to(device), split.y.to(device)
    optimizer, scheduler = task.optimizer(steps)
    batch_x, batch_y = x[: task.batch_size], y[: task.batch_size]
    for epoch in count():
        batches.set_epoch(epoch)
        for chosen in batches.order().to(device).split(task.batch_size):
            if not same_batch:
                batch_x, batch_y = x[chosen], y[chosen]
            loss = F.cross_entropy(net(batch_x), batch_y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            yield loss.detach()


def plain(task: Task, epochs: int, same_batch: bool = False) -> Seconds:
    """Yield the seconds of each epoch of the handwritten loop; the loss is read once per epoch."""
    steps = len(task.data.train_dataloader())
    losses = training(task, epochs * steps, same_batch)
    for _ in range(epochs):
        started = time.perf_counter()
        sum(islice(losses, steps), torch.zeros((), device=task.device)).item()
        yield time.perf_counter() - started


def compiled(task: Task, epochs: int) -> Seconds:
    """Yield the seconds of each epoch of the handwritten loop with a compiled network."""
    task.net = cast(nn.Module, torch.compile(task.net))
    yield from plain(task, epochs)


def captured(task: Task, epochs: int) -> Seconds:
    """Yield the seconds of each epoch of the handwritten step, captured as a CUDA graph.

    It is the floor on a GPU: pixels stay uint8 there, and batches are selected within the step.
    """
    split, batches = task.data.splits["train"], task.data.train_dataloader()
    x, y = split.x.to(task.device), split.y.to(task.device)
    mean, std = task.data.mean.to(task.device), task.data.std.to(task.device)
    optimizer, _ = task.optimizer(epochs * len(batches))
    for group in optimizer.param_groups:
        group |= {"fused": True, "foreach": False, "capturable": True}
    order, place = batches.order().to(task.device), torch.zeros(1, dtype=torch.int64).cuda()
    batch = torch.arange(task.batch_size, device=task.device)

    def step() -> None:
        chosen = order.index_select(0, place + batch)
        loss = F.cross_entropy(task.net((x.index_select(0, chosen) - mean) / std), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        place.add_(task.batch_size)

    replay = as_graph(step, [])
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        order.copy_(batches.order())
        place.zero_()
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(len(order) // task.batch_size):
            replay()
        torch.cuda.synchronize()
        yield time.perf_counter() - started


def loader(task: Task, epochs: int) -> Seconds:
    """Yield the seconds per epoch of loading, shuffling and normalising with linenet's loader."""
    data = task.data
    split = data.splits["train"]
    for epoch in range(epochs):
        started = time.perf_counter()
        batches = BatchLoader(split.x, split.y, torch.arange(len(split.x)), task.batch_size, seed=0)
        batches.set_epoch(epoch)
        for batch in batches:
            data.on_after_batch_transfer(batch, 0)
        yield time.perf_counter() - started


def difference(task: Task, epochs: int) -> Iterator[float]:
    """Yield the absolute loss differences between the handwritten loop and linenet."""
    losses, by_hand = training(task, STEPS), []
    length = len(task.data.train_dataloader())
    for seed in islice(chain.from_iterable(step_seeds(0, e, 0, length) for e in count()), STEPS):
        torch.manual_seed(seed)  # gives dropout the random numbers that linenet gives it
        by_hand.append(next(losses).item())
    words = ["fit", "--config", str(task.config), "--trainer.log_every_n_steps=1"]
    words += ["--data.source=mnist", f"--data.batch_size={task.batch_size}"]
    words += [f"--trainer.accelerator={task.accelerator}", f"--trainer.max_steps={STEPS}"]
    words += ["--report=false", "--figures.only=[]"]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        with redirect_stderr(StringIO()):
            linenet([*words, f"--trainer.default_root_dir={folder}"])
        [curves] = Path(folder).rglob("curves.csv")
        ours = read_curves(curves.read_text())["train/loss"][1]
    for one, other in zip(by_hand, ours, strict=True):
        yield abs(one - other)


BASELINES = {
    "difference": difference,
    "plain": plain,
    "floor": partial(plain, same_batch=True),
    "compiled": compiled,
    "captured": captured,
    "template": template,
    "loader": loader,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("baseline", choices=BASELINES, help="what to run")
    parser.add_argument("config", type=Path, help="one of configs/mnist_*.yaml")
    parser.add_argument(
        "--epochs", type=int, default=3, help="epochs to time, the first as warm-up; default 3"
    )
    parser.add_argument("--batch_size", type=int, default=100, help="images; default 100")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="default cpu")
    arguments = parser.parse_args()
    task = Task(arguments.config, arguments.batch_size, arguments.accelerator)
    print(json.dumps(list(BASELINES[arguments.baseline](task, arguments.epochs))))


if __name__ == "__main__":
    main()
