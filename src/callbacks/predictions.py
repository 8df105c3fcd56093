"""Writes `predictions.csv` at the end of `predict`, and `test_predictions.csv` after a test."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, distributed

from src.callbacks.figures import whole
from src.files import write_whole
from src.inference.predictions import Row, as_csv, header, row, tested


class PredictionWriter(Callback):
    """Writes what was predicted into the run folder, in the order of the data set.

    `predict` writes `predictions.csv`: index, label, prediction, probabilities. For own images, the
    file name replaces index and label. In regression the columns are index, targets and predicted
    values. A test writes `test_predictions.csv` without probabilities, which `compare` reads.
    """

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.rows: list[tuple[int, Row]] = []

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: tuple[Tensor, Tensor],
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        for output, target in zip(outputs[0].tolist(), outputs[1].tolist(), strict=True):
            index = len(self.rows) * trainer.world_size + trainer.global_rank  # as BatchLoader does
            self.rows.append((index, row(trainer.datamodule, index, output, target)))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file after the progress bar is closed."""
        if stage != "predict":
            return
        shares: list[Any] = [self.rows]
        if trainer.world_size > 1:
            shares = [None] * trainer.world_size
            distributed.all_gather_object(shares, self.rows)
        folder = trainer.log_dir
        if trainer.is_global_zero and folder:
            rows = [one for _, one in sorted(numbered for share in shares for numbered in share)]
            path = Path(folder, "predictions.csv")
            write_whole(path, as_csv([header(trainer.datamodule), *rows]))
            print(f"{len(rows):,} prediction{'s' * (len(rows) != 1)}: {path}")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.answers: list[Tensor] = []
        self.targets: list[Tensor] = []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if isinstance(outputs, Tensor):  # a test_step of the user's own may return anything
            values = batch[1].is_floating_point()
            self.answers.append(outputs if values else outputs.argmax(dim=1))
            self.targets.append(batch[1])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folder = trainer.log_dir  # on every process: it is broadcast
        if not self.answers:
            return
        answers, targets = (  # of all processes: each must ask
            whole(trainer, torch.cat(kept).cpu()) for kept in (self.answers, self.targets)
        )
        self.answers, self.targets = [], []
        if trainer.is_global_zero and folder:
            rows = tested(trainer.datamodule, answers, targets)
            write_whole(Path(folder, "test_predictions.csv"), as_csv(rows))
