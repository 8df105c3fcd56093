"""The logger that writes `curves.csv`."""

import csv
from io import StringIO
from math import ceil, isfinite
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from src.files import write_whole
from src.runs.curves import HEADER


class CurvesFile(Logger):
    """Logger that writes every logged value to `curves.csv` in the run folder, a row for each.

    `step` is TensorBoard's; `epoch` is the number of finished epochs, with fractions.

    Args:
        trainer: The trainer.
        folder: The run folder; only the first process needs it.
        purge_step: The step from which a resumed run continues; rows from it on are dropped.
    """

    name, version = "curves", ""

    def __init__(self, trainer: Trainer, folder: Path | None, purge_step: int) -> None:
        super().__init__()
        self.trainer, self.purge_step = trainer, purge_step
        self.path, self.begun = folder and folder / "curves.csv", False
        self.rows: list[list[Any]] = []

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        trainer = self.trainer
        batches = trainer.num_training_batches  # infinity for a loader without length
        steps = ceil(batches / trainer.accumulate_grad_batches) if isfinite(batches) else 0
        epoch = trainer.global_step / steps if steps else 0.0
        at = trainer.global_step if step is None else step
        for name, value in metrics.items():
            if name != "epoch":
                self.rows.append([at, f"{epoch:.6g}", name, float(value)])

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: hyperparameters are in config.yaml and hparams.yaml."""

    @rank_zero_only
    def save(self) -> None:
        """Append the new rows; Lightning calls this after each time that it has logged."""
        if self.path is None:
            return
        if not self.begun:
            self.begun = True
            write_whole(self.path, HEADER + "".join(rows_before(self.path, self.purge_step)))
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.rows)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())
        self.rows.clear()


def rows_before(path: Path, step: int) -> list[str]:
    """Return the rows of a file before a step; none if there is no file."""
    if not path.exists():
        return []
    rows = path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]
    return [row for row in rows if row.endswith("\n") and int(row.partition(",")[0]) < step]
