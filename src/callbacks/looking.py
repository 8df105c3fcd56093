"""Looking into a network: examples as it gets them, and what its layers make of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def batch_of(data: Any, split_name: str, examples: Tensor | slice, device: torch.device) -> Tensor:
    """Return some examples of a split, by their place in it, as a model gets them."""
    split = data.splits[split_name]
    chosen = split.indices[examples]
    pair = split.x[chosen].to(device), split.y[chosen].to(device)
    return data.on_after_batch_transfer(pair, 0)[0]


@contextmanager
def listening(
    layers: Mapping[str, nn.Module], hear: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Have a function told name and output of each of the layers in a forward pass."""

    def hook(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: hear(name, output)

    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
