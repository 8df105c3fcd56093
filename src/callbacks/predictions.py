"""What `predict` leaves behind: a CSV with a row for each example."""

import csv
import io
from pathlib import Path
from typing import Any

import torch.distributed
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from src.files import write_whole

Row = list[Any]


class PredictionWriter(Callback):
    """Writes `predictions.csv` into the run folder: index, label, prediction, probabilities.

    Of images of the user's own, the file stands in place of index and label. In regression: index,
    targets and predicted values. Rows come in the order of the data set, whatever the number of
    processes.
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
            index = len(self.rows) * trainer.world_size + trainer.global_rank  # as the loader deals
            self.rows.append((index, _row(trainer.datamodule, index, output, target)))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write them when the progress bar is gone."""
        if stage != "predict":
            return
        shares: list[Any] = [self.rows]
        if trainer.world_size > 1:
            shares = [None] * trainer.world_size
            torch.distributed.all_gather_object(shares, self.rows)
        folder = trainer.log_dir
        if trainer.is_global_zero and folder:
            rows = [row for _, row in sorted(numbered for share in shares for numbered in share)]
            path = Path(folder, "predictions.csv")
            write_whole(path, _csv(_header(trainer.datamodule), rows))
            print(f"{len(rows):,} predictions: {path}")


def _header(data: Any) -> list[str]:
    if data.file_names is not None:
        return ["file", "prediction", *data.class_names]
    if data.class_names is None:
        outputs = range(data.num_outputs)
        return ["index", *(f"target_{i}" for i in outputs), *(f"prediction_{i}" for i in outputs)]
    return ["index", "label", "prediction", *data.class_names]


def _row(data: Any, index: int, output: list[float], target: Any) -> Row:
    names = data.class_names
    if names is None:
        return [index, *target, *output]
    best = max(range(len(names)), key=output.__getitem__)
    files = data.file_names
    example = [index, names[target]] if files is None else [files[index]]
    return [*example, names[best], *(f"{p:.6g}" for p in output)]


def _csv(header: list[str], rows: list[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
