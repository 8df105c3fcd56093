"""The line that gradient descent found beside the one that algebra gives."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn


class ClosedForm(Callback):
    """After fit, prints the learned weights of a linear regression beside the least-squares ones."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        layer, split = pl_module.net[-1], trainer.datamodule.splits["train"]
        best = least_squares(split.x, split.y, bias=layer.bias is not None)
        table = Table("parameter", "learned", "closed form", title="Gradient descent and least squares")
        for i, (learned, optimum) in enumerate(zip(_parameters(layer), best.flatten(), strict=True)):
            name = "bias" if i >= layer.weight.numel() else f"weight {i}"
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


def _parameters(layer: nn.Linear) -> Tensor:
    return torch.cat([p.detach().cpu().flatten() for p in layer.parameters()])
