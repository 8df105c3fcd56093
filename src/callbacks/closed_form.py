"""The line that gradient descent found beside the one that algebra gives."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from src.errors import UserError


class ClosedForm(Callback):
    """Prints the weights of the linear regression that was tested beside the optimal ones."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if type(pl_module).__name__ != "LinearRegression":
            raise UserError(
                f"ClosedForm compares a LinearRegression with least squares, but the model is"
                f" {type(pl_module).__name__}.\nTake ClosedForm out of trainer.callbacks."
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


def least_squares(x: Tensor, y: Tensor, bias: bool) -> Tensor:
    """Return the weights, and with `bias` the bias after them, that minimise the squared error.

    Args:
        x: Examples `(n, features)`.
        y: Targets `(n, 1)`.
        bias: Whether the line has an intercept; a column of ones is added to x then.
    """
    columns = [x.double()] + [torch.ones(len(x), 1, dtype=torch.float64)] * bias
    return torch.linalg.lstsq(torch.cat(columns, dim=1), y.double()).solution
