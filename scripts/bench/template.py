"""A typical Lightning project, as a baseline for bench."""

import tempfile
import time
from collections.abc import Iterator
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, random_split
from torchmetrics import Accuracy
from torchvision import datasets, transforms

from scripts.bench.task import Task


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


def template(task: Task, epochs: int) -> Iterator[float]:
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
