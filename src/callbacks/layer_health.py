"""Whether each layer learns: the size of its gradients, and its units that do nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

EXAMPLES = 200  # of the validation set, on which units are watched
FLAT = 0.98  # of the way to its limits, a sigmoid or tanh passes on less than 4 % of a gradient


def dead(output: Tensor) -> Tensor:
    """Return the share of units that are zero on every example and place: they never learn."""
    return (output.flatten(2) if output.dim() > 2 else output[..., None]).amax(dim=(0, 2)).le(0)


def saturated(low: float) -> Callable[[Tensor], Tensor]:
    """Return a function to the values of units between `low` and 1 that are near either."""
    return lambda output: ((2 * output - 1 - low) / (1 - low)).abs() > FLAT


WATCHED: dict[type[nn.Module], tuple[str, Callable[[Tensor], Tensor]]] = {
    nn.ReLU: ("dead", dead),
    nn.Sigmoid: ("saturated", saturated(low=0.0)),
    nn.Tanh: ("saturated", saturated(low=-1.0)),
}


class LayerHealth(Callback):
    """Logs by layer the norm of the gradient, and the share of units that are dead or saturated.

    `gradient/LAYER` comes with `train/loss`, `dead/LAYER` and `saturated/LAYER` with each
    validation. `start/loss` is the loss before the first step: the logarithm of the number of
    classes, if the first weights favour none. A line's weight and bias are logged, too.
    """

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        every = trainer.log_every_n_steps
        if not every or trainer.global_step % every or not trainer.is_global_zero:
            return
        parameters = dict(pl_module.named_parameters())
        values = {
            f"gradient/{name.removesuffix('.weight')}": parameter.grad.norm().item()
            for name, parameter in parameters.items()
            if name.endswith(".weight") and parameter.grad is not None
        }
        if sum(p.numel() for p in parameters.values()) <= 2:
            values |= {f"line/{name.split('.')[-1]}": p.item() for name, p in parameters.items()}
        log(trainer, values, trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == 1 and outputs:
            log(trainer, {"start/loss": float(outputs["loss"])}, step=0)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = trainer.datamodule
        if trainer.sanity_checking or not trainer.is_global_zero or not trainer.global_step:
            return
        split = data.splits["val"]
        some = split.indices[:EXAMPLES]
        batch = (split.x[some].to(pl_module.device), split.y[some].to(pl_module.device))
        with watched(pl_module) as shares, torch.no_grad():
            pl_module(data.on_after_batch_transfer(batch, 0)[0])
        log(trainer, shares, trainer.global_step - 1)


def log(trainer: Trainer, values: dict[str, float], step: int) -> None:
    """Log at once, past the means over steps and processes that `self.log` would take."""
    for logger in trainer.loggers if values else []:
        logger.log_metrics(values, step)
        logger.save()


@contextmanager
def watched(model: LightningModule) -> Iterator[dict[str, float]]:
    """Give a dictionary that a forward pass fills with the share of units that do nothing."""
    shares: dict[str, float] = {}

    def look(name: str, share: Callable[[Tensor], Tensor]) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            shares[name] = share(output).float().mean().item()

        return hook

    handles = [
        module.register_forward_hook(look(f"{WATCHED[kind][0]}/{name}", WATCHED[kind][1]))
        for name, module in model.named_modules()
        if (kind := type(module)) in WATCHED
    ]
    try:
        yield shares
    finally:
        for handle in handles:
            handle.remove()
