"""Whether each layer learns: the size of its gradients, and its units that do nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from src.callbacks.looking import batch_of, listening

EXAMPLES = 200  # of the validation set, on which units are watched
FLAT = 0.98  # of the way to its limits, a sigmoid or tanh passes on less than 4 % of a gradient


def dead(output: Tensor) -> Tensor:
    """Return for each unit whether it is zero on every example and place, and so never learns."""
    return (output.flatten(2) if output.dim() > 2 else output[..., None]).amax(dim=(0, 2)).le(0)


def saturated(low: float) -> Callable[[Tensor], Tensor]:
    """Return a function that tells of each value between `low` and 1 whether it is near either."""
    return lambda output: ((2 * output - 1 - low) / (1 - low)).abs() > FLAT


WATCHED: dict[type[nn.Module], tuple[str, Callable[[Tensor], Tensor]]] = {
    nn.ReLU: ("dead", dead),
    nn.Sigmoid: ("saturated", saturated(low=0.0)),
    nn.Tanh: ("saturated", saturated(low=-1.0)),
}


class LayerHealth(Callback):
    """Logs by layer the norm of the gradient, dead units and saturated values.

    `gradient/LAYER` comes every `trainer.log_every_n_steps` steps from the first on; with each
    validation come `dead/LAYER`, the share of the units of a ReLU that are zero on all of 200
    examples, and `saturated/LAYER`, the share of the values of a sigmoid or tanh that are near its
    limits. `start/loss` is the loss before the first step: the logarithm of the number of classes,
    if the first weights favour none. A line's weight and bias are logged as `line/NAME`. Where
    gradients are scaled, in 16 bits, there are no norms.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        self.begun = trainer.global_step > 0 or self.scaled
        self.noted = -1  # the last step, of which an optimizer may ask several times

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        if not self.begun:
            self.begun = True
            whole = loss.item() * trainer.accumulate_grad_batches  # Lightning has divided it
            log(trainer, {"start/loss": whole}, step=0)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        every, step = trainer.log_every_n_steps, trainer.global_step
        if not every or step % every or step == self.noted or self.scaled:
            return
        self.noted = step
        parameters = dict(pl_module.named_parameters())
        norms = {
            f"gradient/{name.removesuffix('.weight')}": parameter.grad.norm().item()
            for name, parameter in parameters.items()
            if name.endswith(".weight") and parameter.grad is not None
        }
        log(trainer, norms | line(parameters), step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = trainer.datamodule
        if not (trainer.global_step and trainer.is_global_zero and "val" in data.splits):
            return
        with watched(pl_module) as shares, torch.no_grad():
            pl_module(batch_of(data, "val", slice(EXAMPLES), pl_module.device))
        log(trainer, shares, trainer.global_step - 1)


def line(parameters: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the weight and bias of a model that has no more."""
    names = {name: f"line/{name.rsplit('.', 1)[-1]}" for name in parameters}
    single = all(parameter.numel() == 1 for parameter in parameters.values())
    if not single or len({*names.values()}) < len(names):
        return {}
    return {names[name]: parameter.item() for name, parameter in parameters.items()}


def log(trainer: Trainer, values: dict[str, float], step: int) -> None:
    """Log at once, past the means over steps and processes that `self.log` would take."""
    for logger in trainer.loggers if values else []:
        logger.log_metrics(values, step)
        logger.save()


@contextmanager
def watched(model: LightningModule) -> Iterator[dict[str, float]]:
    """Give a dictionary that a forward pass fills with what its layers are found to be."""
    shares: dict[str, float] = {}
    layers = {name: layer for name, layer in model.named_modules() if type(layer) in WATCHED}

    def look(name: str, output: Tensor) -> None:
        what, share = WATCHED[type(layers[name])]
        shares[f"{what}/{name}"] = share(output).float().mean().item()

    with listening(layers, look):
        yield shares
