"""The base class of data modules: splits, loaders and description."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from src.data.base import Split, TensorData, fits
from src.errors import UserError


class Toy(TensorData):
    """Numbers 0, 1, 2, ...; `sizes` gives the size of each split."""

    input_shape, num_outputs, source = [1], 1, "thin air"

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
        data.trainer = stand_in("cpu", rank, world_size=2)
    return both


def stand_in(device: str, rank: int = 0, world_size: int = 1) -> Any:
    """Return a stand-in for the trainer, with the attributes that data modules use."""
    strategy = SimpleNamespace(root_device=torch.device(device))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(restarting=False))
    facts = {"strategy": strategy, "fit_loop": loop}
    return SimpleNamespace(**facts, global_rank=rank, world_size=world_size)


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


def test_training_batches_have_the_size_asked_for() -> None:
    assert [len(x) for x, _ in ready(batch_size=8).train_dataloader()] == [8, 8, 8, 6]


def test_evaluation_batches_are_large_whatever_the_size_asked_for() -> None:
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


def test_the_record_names_source_and_sizes() -> None:
    assert ready().describe() == {
        "name": "Toy",
        "source": "thin air",
        "sizes": {"train": 30, "val": 2500, "test": 7},
    }


def test_a_known_noise_floor_is_in_the_record() -> None:
    data = ready()
    data.noise_floor = 0.25
    assert data.describe()["noise_floor"] == 0.25


def test_denormalise_changes_nothing_that_was_not_normalised() -> None:
    x: Tensor = torch.randn(3, 1)
    assert torch.equal(ready().denormalise(x), x)


class OneTensor(Toy):
    """Data whose training and validation sets share tensors, as in the image data sets."""

    def read(self) -> dict[str, Split]:
        x, rows = torch.randn(40, 1), torch.arange(40)
        y, halves = -x, {"train": rows[:30], "val": rows[30:], "test": rows[:7]}
        return {name: Split(x, y, chosen) for name, chosen in halves.items()}


def on(device: str, **kwargs: Any) -> Toy:
    """Return a data module whose trainer uses the given device."""
    data = OneTensor(**kwargs)
    data.setup("fit")
    data.trainer = stand_in(device)
    return data


def test_splits_share_one_copy_where_training_happens() -> None:
    data = on("meta")
    train, val = data.train_dataloader(), data.val_dataloader()
    assert train.x is val.x
    assert train.y is val.y
    assert train.x is not train.y
    assert {train.x.device.type, train.y.device.type} == {"meta"}
    assert data.train_dataloader().x is train.x


def test_splits_are_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data, copied, to = on("meta"), [], Tensor.to
    monkeypatch.setattr(Tensor, "to", lambda *args: copied.append(1) or to(*args))
    data.train_dataloader()
    data.val_dataloader()
    assert len(copied) == 2


def test_a_copy_is_used_though_there_is_no_room_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = on("meta")
    train = data.train_dataloader()
    monkeypatch.setattr("src.data.base.fits", lambda *args: False)
    assert data.val_dataloader().x is train.x


def test_targets_stay_with_examples_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = on("meta")
    examples = data.splits["train"].x
    monkeypatch.setattr("src.data.base.fits", lambda tensor, device: tensor is not examples)
    loader = data.train_dataloader()
    assert {part.device.type for batch in loader for part in batch} == {"cpu"}


def test_batches_come_from_where_training_happens() -> None:
    batches = list(on("meta", batch_size=8).train_dataloader())
    assert [tuple(x.shape) for x, _ in batches] == [(8, 1), (8, 1), (8, 1), (6, 1)]
    assert {part.device.type for batch in batches for part in batch} == {"meta"}


def test_splits_stay_where_they_were_read() -> None:
    data = on("meta")
    data.train_dataloader()
    parts = [part for s in data.splits.values() for part in (s.x, s.y, s.indices)]
    assert {part.device.type for part in parts} == {"cpu"}


@pytest.mark.parametrize("data", [ready(), on("cpu")])
def test_nothing_is_copied_without_need(data: Toy) -> None:
    train, split = data.train_dataloader(), data.splits["train"]
    assert train.x is split.x
    assert train.y is split.y


def test_data_that_does_not_fit_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.data.base.fits", lambda *args: False)
    data = on("meta")
    assert data.train_dataloader().x is data.splits["train"].x


@pytest.mark.parametrize(("free", "expected"), [(801, True), (800, False), (100, False)])
def test_less_than_half_of_the_free_memory_of_a_gpu_is_taken(
    free: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", {gpu: (free, 10**9)}.__getitem__)
    with nullcontext() if expected else pytest.warns(UserWarning, match="too large for the GPU"):
        assert fits(torch.zeros(100), gpu) is expected  # 400 bytes


def test_other_devices_are_not_asked_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", None)
    assert fits(torch.zeros(100), torch.device("cpu"))
