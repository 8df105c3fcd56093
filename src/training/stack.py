"""Networks of one architecture, stacked: their steps are made together, each with its own batch.

Weights, gradients and the state of the optimizer get a first dimension for the networks. Updates of
the optimizers below treat each number by itself, so that those of a stack equal those of single
networks.
"""

from collections.abc import Sequence
from copy import deepcopy
from inspect import signature
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap
from torch.optim import SGD, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop

from src.training.plain_step import PlainStep

ELEMENTWISE = (SGD, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop)


class GivenDropout(nn.Module):
    """Dropout by a factor for each unit that is drawn beforehand, from a generator for each seed.

    Args:
        share: The share of units to set to zero; the others are scaled up.
    """

    factor: Tensor

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.register_buffer("factor", torch.empty(0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def drawn(self, generator: Generator) -> Tensor:
        """Return a new factor; from a generator of the same state, nn.Dropout draws the same."""
        kept = torch.empty(self.factor.shape, device=generator.device)
        if self.share == 1:
            return kept.zero_()
        return kept.bernoulli_(1 - self.share, generator=generator).div_(1 - self.share)


class Stack:
    """The networks and optimizers of several runs in one.

    Args:
        steps: The steps of the runs, which have been made once: the optimizers have their state.
    """

    def __init__(self, steps: Sequence[PlainStep]) -> None:
        self.steps, first = steps, steps[0]
        self.model: Any = deepcopy(first.model)  # a pattern: its own weights are never used
        self.dropouts = replace_dropouts(self.model)
        self.names = [name for name, _ in first.model.named_parameters()]
        self.weights = [
            nn.Parameter(torch.stack([*one]).detach(), one[0].requires_grad)
            for one in zip(*(step.model.parameters() for step in steps), strict=True)
        ]
        self.optimizer = equal_optimizer(first.optimizer, self.weights)
        self.generators = [Generator(self.weights[0].device) for _ in steps]

    def load(self) -> None:
        """Copy weights and optimizer states of the runs into the stack."""
        with torch.no_grad():
            for number, weight in enumerate(self.weights):
                ones = [[*step.model.parameters()][number] for step in self.steps]
                torch.stack(ones, out=weight.data)
                states = [
                    step.optimizer.state.get(one, {})
                    for step, one in zip(self.steps, ones, strict=True)
                ]
                if states[0]:  # plain SGD has none
                    self.optimizer.state[weight] = {
                        key: stacked([state[key] for state in states]) for key in states[0]
                    }

    def store(self) -> None:
        """Copy weights and optimizer states back into the runs."""
        with torch.no_grad():
            for index, step in enumerate(self.steps):
                for weight, own in zip(self.weights, step.model.parameters(), strict=True):
                    own.copy_(weight[index])
                    for key, value in step.optimizer.state.get(own, {}).items():
                        if torch.is_tensor(value):
                            whole = self.optimizer.state[weight][key]
                            value.copy_(whole[index] if value.ndim else whole)

    def losses(self, x: Tensor, y: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the mean loss of each network, `(S,)`, and the sum of its scores, `(S,)`.

        Args:
            x: A batch for each network, `(S, B, *input_shape)`.
            y: The targets, `(S, B, ...)`.
            seeds: The seed of dropout for each network.
        """
        weights = dict(zip(self.names, self.weights, strict=True))

        def one(weights: Any, factors: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            output = functional_call(self.model, {**weights, **factors}, (x,))
            return self.model.loss(output, y), self.model.score(output.detach(), y)

        return vmap(one)(weights, self._factors(x, seeds), x, y)

    def backward(self, losses: Tensor) -> None:
        """Set the gradients of the losses `(S,)`: that of their sum, as none depends on another."""
        for weight in self.weights:
            weight.grad = None
        losses.sum().backward()

    def update(self) -> None:
        """Update the weights, with the learning rate that the first run has now."""
        settings = self.steps[0].optimizer.param_groups[0]
        group = self.optimizer.param_groups[0]
        group.update({key: value for key, value in settings.items() if key != "params"})
        self.optimizer.step()

    def give_gradients(self) -> None:
        """Let the weights of the runs have their gradients, for callbacks that look at them."""
        for index, step in enumerate(self.steps):
            for weight, own in zip(self.weights, step.model.parameters(), strict=True):
                own.grad = None if weight.grad is None else weight.grad[index]

    def _factors(self, x: Tensor, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Return the factors of dropout, drawn for each network as it would by itself."""
        if not self.dropouts:
            return {}
        measure(self.model, self.dropouts, x[0])
        drawn = []
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)
            drawn.append([layer.drawn(generator) for layer in self.dropouts.values()])
        names = [f"{name}.factor" for name in self.dropouts]
        return dict(zip(names, map(torch.stack, zip(*drawn, strict=True)), strict=True))


def unstackable(step: PlainStep) -> str | None:
    """Return why the steps of a run cannot be made in a stack; None if they can."""
    model, optimizer = step.model, step.optimizer
    reasons = {
        type(optimizer).__name__: type(optimizer) not in ELEMENTWISE,
        "several groups of parameters": len(optimizer.param_groups) > 1,
        "buffers of the model": next(model.buffers(), None) is not None,
        # The weights of a line are logged before each step.
        "a line": all(one.numel() == 1 for one in model.parameters()),
    }
    return next((why for why, holds in reasons.items() if holds), None)


def equal_optimizer(optimizer: Any, weights: Sequence[Tensor]) -> Optimizer:
    """Return a new optimizer of the same class and settings for other weights."""
    known = signature(type(optimizer)).parameters  # AdamW has a default that is no argument
    settings = {key: value for key, value in optimizer.defaults.items() if key in known}
    made: Optimizer = type(optimizer)(weights, **settings)
    return made


def replace_dropouts(model: nn.Module) -> dict[str, GivenDropout]:
    """Replace each nn.Dropout of a model; return what replaces them, by name."""
    found = [(name, one) for name, one in model.named_modules() if type(one) is nn.Dropout]
    for name, layer in found:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, GivenDropout(layer.p))
    return {name: model.get_submodule(name) for name, _ in found}  # type: ignore[misc]


def measure(model: nn.Module, dropouts: dict[str, GivenDropout], x: Tensor) -> None:
    """Give the factors the shapes of what reaches the layers, if the batch has another size."""
    first = next(iter(dropouts.values()))
    if first.factor.ndim and len(first.factor) == len(x):
        return

    def note(layer: Any, inputs: tuple[Tensor]) -> None:
        layer.factor = torch.ones_like(inputs[0])

    hooks = [layer.register_forward_pre_hook(note) for layer in dropouts.values()]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()


def stacked(values: Sequence[Any]) -> Any:
    """Return a state of the optimizer for the stack; counts of steps are equal in all runs."""
    whole = torch.is_tensor(values[0]) and values[0].ndim
    return torch.stack(list(values)) if whole else deepcopy(values[0])
