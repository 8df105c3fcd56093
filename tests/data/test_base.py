"""The base class of data sets in memory: splits, loaders, description, copies on a device."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from src.data.base import Split, TensorData, fits
from src.errors import UserError


class Toy(TensorData):
    """Numbers 0, 1, 2, ... in each split; `sizes` gives how many."""

    input_shape, num_outputs, source = [1], 1, "generated"

    def __init__(self, sizes: tuple[int, int, int] = (30, 2500, 7), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes, self.reads = sizes, 0

    def read(self) -> dict[str, Split]:
        self.reads += 1
        x = [torch.arange(n)[:, None].float() for n in self.sizes]
        return {n: Split.whole(t, -t) for n, t in zip(("train", "val", "test"), x, strict=True)}


def ready(**kwargs: Any) -> Toy:
    data = Toy(**kwargs)
    data.setup("fit")
    return data


def shared(**kwargs: Any) -> list[Toy]:
    """Return the data module of each of two processes."""
    both = [ready(**kwargs), ready(**kwargs)]
    for rank, data in enumerate(both):
        data.trainer = fake_trainer("cpu", rank, world_size=2)
    return both


def fake_trainer(device: str, rank: int = 0, world_size: int = 1) -> Any:
    """Return an object with the trainer attributes that a data module uses."""
    strategy = SimpleNamespace(root_device=torch.device(device))
    progress = SimpleNamespace(current=SimpleNamespace(ready=0))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    attributes = {"strategy": strategy, "fit_loop": loop, "training": False}
    return SimpleNamespace(**attributes, global_rank=rank, world_size=world_size)


def numbers(batches: Any) -> list[float]:
    return torch.cat([x for x, _ in batches]).flatten().tolist()


def test_data_is_read_once() -> None:
    data = ready()
    data.setup("test")
    assert data.reads == 1


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_an_empty_split_is_refused_by_name(name: str) -> None:
    n = ["train", "val", "test"].index(name)
    sizes: Any = tuple(0 if i == n else 5 for i in range(3))
    with pytest.raises(UserError, match=f"Toy: the {name} split is empty"):
        ready(sizes=sizes)


def test_training_batches_have_the_requested_size() -> None:
    assert [len(x) for x, _ in ready(batch_size=8).train_dataloader()] == [8, 8, 8, 6]


def test_evaluation_batches_have_at_least_1000_examples() -> None:
    assert [len(x) for x, _ in ready(batch_size=8).val_dataloader()] == [1000, 1000, 500]
    assert [len(x) for x, _ in ready(batch_size=2000).val_dataloader()] == [2000, 500]


def test_training_is_shuffled_and_evaluation_is_not() -> None:
    data = ready()
    assert numbers(data.train_dataloader()) != list(range(30))
    assert sorted(numbers(data.train_dataloader())) == list(range(30))
    assert numbers(data.val_dataloader()) == list(range(2500))
    assert numbers(data.test_dataloader()) == list(range(7))


def test_predictions_are_made_for_the_test_split() -> None:
    data = ready()
    assert numbers(data.predict_dataloader()) == numbers(data.test_dataloader())


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_two_processes_share_a_split(name: str) -> None:
    shares = [numbers(getattr(data, f"{name}_dataloader")()) for data in shared()]
    whole = numbers(getattr(ready(), f"{name}_dataloader")())
    assert sorted(shares[0] + shares[1]) == sorted(whole)


def test_targets_stay_with_their_examples() -> None:
    for x, y in ready().train_dataloader():
        assert torch.equal(y, -x)


def test_the_description_has_source_and_sizes() -> None:
    assert ready().describe() == {
        "name": "Toy",
        "source": "generated",
        "sizes": {"train": 30, "val": 2500, "test": 7},
    }


def test_the_description_has_a_known_noise_floor() -> None:
    data = ready()
    data.noise_floor = 0.25
    assert data.describe()["noise_floor"] == 0.25


def test_denormalise_changes_nothing_without_normalisation() -> None:
    x: Tensor = torch.randn(3, 1)
    assert torch.equal(ready().denormalise(x), x)


class OneTensor(Toy):
    """Data whose training and validation sets share tensors, as in the image data sets."""

    def read(self) -> dict[str, Split]:
        x, rows = torch.randn(40, 1), torch.arange(40)
        y, halves = -x, {"train": rows[:30], "val": rows[30:], "test": rows[:7]}
        return {name: Split(x, y, chosen) for name, chosen in halves.items()}


def data_on(device: str, **kwargs: Any) -> Toy:
    """Return data with a trainer for a device."""
    data = OneTensor(**kwargs)
    data.setup("fit")
    data.trainer = fake_trainer(device)
    return data


def test_splits_share_one_copy_on_the_training_device() -> None:
    data = data_on("meta")
    train, val = data.train_dataloader(), data.val_dataloader()
    assert train.x is val.x
    assert train.y is val.y
    assert train.x is not train.y
    assert {train.x.device.type, train.y.device.type} == {"meta"}
    assert data.train_dataloader().x is train.x


def test_splits_are_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data, copied, to = data_on("meta"), [], Tensor.to
    monkeypatch.setattr(Tensor, "to", lambda *args: copied.append(1) or to(*args))
    data.train_dataloader()
    data.val_dataloader()
    assert len(copied) == 2


def test_an_existing_copy_is_used_without_room_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = data_on("meta")
    train = data.train_dataloader()
    monkeypatch.setattr("src.data.base.fits", lambda *args: False)
    assert data.val_dataloader().x is train.x


def test_targets_stay_on_the_device_of_examples_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = data_on("meta")
    examples = data.splits["train"].x
    monkeypatch.setattr("src.data.base.fits", lambda tensor, device: tensor is not examples)
    loader = data.train_dataloader()
    assert {part.device.type for batch in loader for part in batch} == {"cpu"}


def test_batches_are_on_the_training_device() -> None:
    batches = list(data_on("meta", batch_size=8).train_dataloader())
    assert [tuple(x.shape) for x, _ in batches] == [(8, 1), (8, 1), (8, 1), (6, 1)]
    assert {part.device.type for batch in batches for part in batch} == {"meta"}


def test_splits_stay_on_the_cpu() -> None:
    data = data_on("meta")
    data.train_dataloader()
    parts = [part for s in data.splits.values() for part in (s.x, s.y, s.indices)]
    assert {part.device.type for part in parts} == {"cpu"}


@pytest.mark.parametrize("data", [ready(), data_on("cpu")])
def test_data_on_the_right_device_is_not_copied(data: Toy) -> None:
    train, split = data.train_dataloader(), data.splits["train"]
    assert train.x is split.x
    assert train.y is split.y


def test_data_that_does_not_fit_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.data.base.fits", lambda *args: False)
    data = data_on("meta")
    assert data.train_dataloader().x is data.splits["train"].x


@pytest.mark.parametrize(("free", "expected"), [(801, True), (800, False), (100, False)])
def test_less_than_half_of_the_free_memory_of_a_gpu_is_used(
    free: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", {gpu: (free, 10**9)}.__getitem__)
    with nullcontext() if expected else pytest.warns(UserWarning, match="too large for the GPU"):
        assert fits(torch.zeros(100), gpu) is expected  # 400 bytes


def test_the_memory_of_other_devices_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", None)
    assert fits(torch.zeros(100), torch.device("cpu"))
