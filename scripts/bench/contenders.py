"""Trains the same models without linenet, as baselines for bench.

    python -m scripts.bench.contenders plain configs/mnist_lenet.yaml --epochs 3

`plain` is a handwritten training loop, `floor` is that loop on a single batch, `captured` is its
step as a CUDA graph, `template` is a typical Lightning project, and `loader` only iterates over
linenet's batches; each prints the seconds of every epoch. `difference` prints the absolute
differences between the losses of `plain` and of linenet in the first steps.
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
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
import torch.nn.functional as F
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, random_split
from torchmetrics import Accuracy
from torchvision import datasets, transforms

from src import models
from src.cli import main as linenet
from src.data import MNIST
from src.data.loader import BatchLoader
from src.runs.curves import read_curves
from src.training.fixed_step import captured as as_graph
from src.training.seeds import step_seeds

STEPS = 50  # whose losses are compared; rounding errors grow with each step
Seconds = Iterator[float]


class Task:
    """The experiment of a config, built without the CLI and with a handwritten network."""

    def __init__(self, config: Path, batch_size: int, accelerator: str) -> None:
        self.config, self.accelerator = config, accelerator
        parsed = yaml.safe_load(config.read_text())
        self.settings = parsed["model"]["init_args"]
        pad = parsed["data"]["init_args"]["pad"] if isinstance(parsed["data"], dict) else 0
        self.batch_size = batch_size
        self.device = torch.device("cuda" if accelerator == "gpu" else "cpu")
        self.data = MNIST(source="mnist", pad=pad, batch_size=batch_size)
        self.data.setup("fit")
        kind = parsed["model"]["class_path"]
        sizes = {key: self.settings[key] for key in ("hidden", "dropout") if key in self.settings}
        bias = self.settings.get("bias", True)
        self.net = lenet() if kind == "LeNet" else mlp(kind, bias, **sizes)
        seed_everything(0, verbose=False)
        reference = getattr(models, kind)(input_shape=self.data.input_shape, bias=bias, **sizes)
        self.net.load_state_dict(reference.net.state_dict())  # start from linenet's weights
        self.net.to(self.device)

    def optimizer(self, steps: int) -> tuple[Any, Any]:
        """Return the optimizer and the scheduler (or None) of the config."""
        spec, schedule = (self.settings.get(key) for key in ("optimizer", "scheduler"))
        optimizer = _build(torch.optim, spec)(self.net.parameters())
        if schedule is None:
            return optimizer, None
        return optimizer, _build(torch.optim.lr_scheduler, schedule)(optimizer, total_steps=steps)


def _build(module: Any, parsed: dict[str, Any]) -> Any:
    return partial(getattr(module, parsed["class_path"]), **parsed.get("init_args", {}))


def mlp(kind: str, bias: bool, hidden: tuple[int, ...] = (), dropout: float = 0.0) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = 784
    for units in hidden:
        layers += [nn.Linear(inputs, units, bias)]
        layers += [nn.Sigmoid() if kind == "SigmoidMLP" else nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
        inputs = units
    return nn.Sequential(*layers, nn.Linear(inputs, 10, bias))


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


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


class Template(LightningModule):
    """A typical LightningModule: torchmetrics are updated and logged in each step."""

    def __init__(self, task: Task, steps: int) -> None:
        super().__init__()
        self.net, self.task, self.steps = task.net, task, steps
        self.accuracy = nn.ModuleDict(
            {f"{stage}_acc": Accuracy("multiclass", num_classes=10) for stage in ("train", "val")}
        )

    def _step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        x, y = batch
        output = self.net(x)
        loss = F.cross_entropy(output, y)
        accuracy = self.accuracy[f"{stage}_acc"]
        accuracy(output, y)
        self.log(f"{stage}/loss", loss, prog_bar=True)
        self.log(f"{stage}/acc", accuracy, prog_bar=True)
        return loss

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._step(batch, "val")

    def configure_optimizers(self) -> Any:
        optimizer, scheduler = self.task.optimizer(self.steps)
        if scheduler is None:
            return optimizer
        schedule = {"scheduler": scheduler, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


class Clock(Callback):
    """Records the training time of each epoch, without validation."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.seconds.append(time.perf_counter() - self.started)


def template(task: Task, epochs: int) -> Seconds:
    """Yield the seconds per epoch of a typical Lightning project.

    It uses per-sample transforms, a DataLoader, torchmetrics and TensorBoard.
    """
    prepare = transforms.Compose(
        [transforms.Pad(task.data.pad), transforms.ToTensor(), transforms.Normalize(0.1307, 0.3081)]
    )
    whole = datasets.MNIST(str(task.data.root), train=True, transform=prepare)
    train, val = random_split(whole, [len(whole) - 5000, 5000])
    loaders = [DataLoader(train, task.batch_size, shuffle=True), DataLoader(val, task.batch_size)]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            max_epochs=epochs,
            accelerator=task.accelerator,
            devices=1,
            logger=TensorBoardLogger(folder),
            callbacks=[clock, ModelCheckpoint(monitor="val/acc", mode="max")],
        )
        trainer.fit(Template(task, epochs * len(loaders[0])), *loaders)
    yield from clock.seconds


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
