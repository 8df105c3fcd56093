"""Logs whether each layer learns: gradient norms, dead units and saturated values."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from src.inference.activations import batch_of, listening
from src.training.listeners import PartOfStep
from src.training.step_log import is_logged

SAMPLES = 200  # validation samples on which activations are measured
FLAT = 0.98  # this close to its limits, a sigmoid or tanh passes less than 4 % of the gradient


def dead(output: Tensor) -> Tensor:
    """Return for each unit whether it is zero for all samples and positions, and never learns."""
    return (output.flatten(2) if output.dim() > 2 else output[..., None]).amax(dim=(0, 2)).le(0)


def saturated(low: float) -> Callable[[Tensor], Tensor]:
    """Return a function that says for each value in [low, 1] whether it is close to either end."""
    return lambda output: ((2 * output - 1 - low) / (1 - low)).abs() > FLAT


MEASURES: dict[type[nn.Module], tuple[str, Callable[[Tensor], Tensor]]] = {
    nn.ReLU: ("dead", dead),
    nn.Sigmoid: ("saturated", saturated(low=0.0)),
    nn.Tanh: ("saturated", saturated(low=-1.0)),
}


class LayerHealth(PartOfStep):
    """Logs by layer the norm of the gradient, dead units and saturated values.

    `gradient/LAYER` is logged every `trainer.log_every_n_steps` steps. After each validation,
    `dead/LAYER` is the share of ReLU units that are zero for all of 200 samples, and
    `saturated/LAYER` the share of sigmoid or tanh values close to their limits. `start/loss` is the
    loss before the first step: the logarithm of the number of classes if the initial weights favour
    none. The weight and bias of a line are logged as `line/NAME`. With 16-bit gradient scaling
    there are no norms.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        self.started = trainer.global_step > 0 or self.scaled
        self.logged = -1  # the last step; an optimizer may evaluate the loss several times in it

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        if not self.started:
            self.started = True
            mean = trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean").item()
            whole = mean * trainer.accumulate_grad_batches  # Lightning divides it
            log(trainer, {"start/loss": whole}, step=0)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        step = trainer.global_step
        if not is_logged(trainer) or step == self.logged or self.scaled:
            return
        self.logged = step
        parameters = dict(pl_module.named_parameters())
        norms = {
            f"gradient/{name.removesuffix('.weight')}": norm(parameter.grad).item()
            for name, parameter in parameters.items()
            if name.endswith(".weight") and parameter.grad is not None
        }
        log(trainer, norms | line(parameters), step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = trainer.datamodule
        if not (trainer.global_step and trainer.is_global_zero and "val" in data.splits):
            return
        with measured(pl_module) as shares, torch.no_grad():
            pl_module(batch_of(data, "val", slice(SAMPLES), pl_module.device))
        log(trainer, shares, trainer.global_step - 1)


def norm(gradient: Tensor) -> Tensor:
    """Return the length of a gradient, whose square may not fit into 16 bits."""
    return gradient.norm(dtype=torch.promote_types(gradient.dtype, torch.float32))


def line(parameters: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the weight and bias of a model with one input and one output; else nothing."""
    names = {name: f"line/{name.rsplit('.', 1)[-1]}" for name in parameters}
    single = all(parameter.numel() == 1 for parameter in parameters.values())
    if not single or len({*names.values()}) < len(names):
        return {}
    return {names[name]: parameter.item() for name, parameter in parameters.items()}


def log(trainer: Trainer, values: dict[str, float], step: int) -> None:
    """Log values as they are; `self.log` would average over steps and processes."""
    for logger in trainer.loggers if values else []:
        logger.log_metrics(values, step)


@contextmanager
def measured(model: LightningModule) -> Iterator[dict[str, float]]:
    """Yield a dictionary that the next forward pass fills with `dead/LAYER`, `saturated/LAYER`."""
    shares: dict[str, float] = {}
    layers = {name: layer for name, layer in model.named_modules() if type(layer) in MEASURES}

    def measure(name: str, output: Tensor) -> None:
        what, share = MEASURES[type(layers[name])]
        shares[f"{what}/{name}"] = share(output).float().mean().item()

    with listening(layers, measure):
        yield shares
