"""The line that gradient descent found beside the one that algebra gives."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import Tensor


class ClosedForm(Callback):
    """After fit, prints the learned weights of a linear regression beside the optimal ones."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        weight, *bias = [p.detach().cpu().flatten() for p in pl_module.parameters()]
        split = trainer.datamodule.splits["train"]
        best = least_squares(split.x, split.y, bias=bool(bias)).flatten()
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
