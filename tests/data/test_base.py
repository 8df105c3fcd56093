"""What every data set in memory shares: splits, loaders and their record."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from src.data.base import Split, TensorData
from src.errors import UserError


class Toy(TensorData):
    """Numbers 0, 1, 2, ..., as many in each split as `sizes` says."""

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
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
    return both


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
