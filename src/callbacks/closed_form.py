"""Compares a line fitted by gradient descent with the closed-form solution."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from src.errors import UserError
from src.models.linear_regression import least_squares


class ClosedForm(Callback):
    """Prints the weights of a tested linear regression beside the least-squares solution."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if type(pl_module).__name__ != "LinearRegression":
            raise UserError(
                f"ClosedForm compares a LinearRegression with least squares, but the model is"
                f" {type(pl_module).__name__}.\nRemove ClosedForm from trainer.callbacks."
            )

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        weight, *bias = [p.detach().cpu().flatten() for p in pl_module.parameters()]
        split = trainer.datamodule.splits["train"]
        x, y = split.x[split.indices], split.y[split.indices]
        best = least_squares(x, y, bias=bool(bias)).flatten()
        names = [f"weight {i}" for i in range(len(weight))] + ["bias"] * bool(bias)
        table = Table("parameter", "learned", "least squares", title="Linear regression")
        for name, learned, optimum in zip(names, torch.cat([weight, *bias]), best, strict=True):
            table.add_row(name, f"{learned:.6f}", f"{optimum:.6f}")
        Console().print(table)
