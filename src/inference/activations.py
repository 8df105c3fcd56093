"""The inputs of a network as it gets them, and the outputs of its layers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def batch_of(data: Any, split_name: str, samples: Tensor | slice, device: torch.device) -> Tensor:
    """Return samples of a split, chosen by position, normalised as the model gets them."""
    split = data.splits[split_name]
    chosen = split.indices[samples]
    pair = split.x[chosen].to(device), split.y[chosen].to(device)
    return data.on_after_batch_transfer(pair, 0)[0]


@contextmanager
def listening(
    layers: Mapping[str, nn.Module], receive: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Call `receive` with the name and the output of each layer during forward passes."""

    def hook(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: receive(name, output)

    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
