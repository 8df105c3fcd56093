"""Accumulated gradients equal those of a plain loop over whole groups, the last one included."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler

from src.callbacks import PartialGroups
from src.data import MNIST
from src.data.loader import mixed
from src.models import LogisticRegression

SGD = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.5, "momentum": 0.9}}


def plain_loop(model: LogisticRegression, data: MNIST, sizes: list[int], clip: float) -> None:
    """Train on whole groups of batches: one loss, the mean over all samples of the group."""
    split = data.splits["train"]
    optimizer = torch.optim.SGD(model.net.parameters(), lr=0.5, momentum=0.9)
    for epoch, size in enumerate(sizes):
        generator = torch.Generator().manual_seed(mixed(0, epoch))
        order = split.indices[torch.randperm(len(split.indices), generator=generator)]
        for start in range(0, len(order), size * data.batch_size):
            chosen = order[start : start + size * data.batch_size]
            x = (split.x[chosen].float() / 255 - data.mean / 255) / (data.std / 255)
            optimizer.zero_grad()
            F.cross_entropy(model.net(x), split.y[chosen]).backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.net.parameters(), clip)
            optimizer.step()


@pytest.mark.parametrize(
    ("settings", "sizes", "clip"),
    [
        ({"accumulate_grad_batches": 4}, [4, 4], 0.0),  # 10 batches: 4, 4 and 2
        ({"accumulate_grad_batches": 100}, [100, 100], 0.0),  # all 10 of an epoch
        ({"accumulate_grad_batches": 5}, [5, 5], 0.0),
        ({"accumulate_grad_batches": 4, "gradient_clip_val": 0.1}, [4, 4], 0.1),
        ({"scheduling": {1: 3}}, [1, 3], 0.0),
    ],
)
def test_groups_equal_a_plain_loop(
    settings: dict[str, Any], sizes: list[int], clip: float, data_root: Path
) -> None:
    data = MNIST(root=str(data_root), val_size=50, batch_size=25)
    model, callbacks = LogisticRegression(optimizer=SGD), [PartialGroups()]
    start = {name: value.clone() for name, value in model.state_dict().items()}
    given: dict[str, Any] = dict(settings)
    extra: list[Callback] = []
    if scheduling := given.pop("scheduling", None):
        extra = [GradientAccumulationScheduler(scheduling)]
    Trainer(max_epochs=2, callbacks=[*callbacks, *extra], logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            log_every_n_steps=1, **given).fit(model, datamodule=data)  # fmt: skip
    learned = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(start)
    plain_loop(model, data, sizes, clip)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(learned[name], value, rtol=0, atol=1e-5)
