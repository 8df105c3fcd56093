"""When and where pictures are made: from the first process, into the run folder and TensorBoard."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure

from src import plots


def publish(trainer: Trainer, figure: Figure, name: str) -> None:
    """Write a picture as `figures/NAME.png` in the run folder and as an image to TensorBoard."""
    logger = trainer.logger
    if not isinstance(logger, TensorBoardLogger) or not trainer.is_global_zero:
        return
    path = Path(logger.log_dir, "figures", f"{name}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    logger.experiment.add_figure(name, figure, trainer.global_step)


class ConfusionMatrix(Callback):
    """Draws which classes were taken for which, over all test examples."""

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        n = trainer.datamodule.num_classes or 0
        self.counts = torch.zeros(n * n, dtype=torch.int64, device=pl_module.device)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if n := trainer.datamodule.num_classes:
            cells = batch[1] * n + outputs.argmax(dim=1)
            self.counts += torch.bincount(cells, minlength=n * n)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = trainer.datamodule
        if data.num_classes:
            counts = trainer.strategy.reduce(self.counts, reduce_op="sum").cpu()
            square = counts.view(data.num_classes, data.num_classes)
            publish(trainer, plots.confusion_matrix(square, data.class_names), "confusion_matrix")


class LineFit(Callback):
    """Draws the training points and the line that was tested, where there is one feature."""

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = trainer.datamodule
        if data.num_classes or data.input_shape != [1] or data.num_outputs != 1:
            return
        split = data.splits["train"]
        x, y = split.x[split.indices], split.y[split.indices]
        with torch.no_grad():
            line = pl_module(x.to(pl_module.device)).float().cpu()
        publish(trainer, plots.line_fit(x[:, 0], y[:, 0], line[:, 0]), "line_fit")
