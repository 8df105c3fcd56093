"""The batch loader: which examples each process reads, in which order and batch size."""

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.data import _set_sampler_epoch

from src.data.loader import BatchLoader


def ranks(n: int, world: int, size: int, seed: int | None = None) -> list[BatchLoader]:
    """Return the loaders of all ranks over the examples 0, 10, 20, ... with targets 0, -1, ..."""
    x, y = 10 * torch.arange(n), -torch.arange(n)
    return [BatchLoader(x, y, torch.arange(n), size, seed, rank, world) for rank in range(world)]


def read(loader: BatchLoader) -> list[int]:
    return [value // 10 for x, _ in loader for value in x.tolist()]


def sizes(loader: BatchLoader) -> list[int]:
    return [len(x) for x, _ in loader]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [7, 100, 129])
def test_training_reads_every_example_once_except_for_the_remainder(n: int, world: int) -> None:
    seen = [i for loader in ranks(n, world, size=8, seed=3) for i in read(loader)]
    assert len(seen) == n - n % world
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(n))


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("n", [7, 100, 129])
def test_training_batches_are_of_equal_sizes_on_every_rank(n: int, world: int) -> None:
    first, *others = [sizes(loader) for loader in ranks(n, world, size=8, seed=3)]
    assert all(other == first for other in others)


def test_training_leaves_out_different_examples_in_different_epochs() -> None:
    left_out = set()
    for epoch in range(20):
        seen: set[int] = set()
        for loader in ranks(7, 2, size=8, seed=3):
            loader.set_epoch(epoch)
            seen.update(read(loader))
        left_out |= set(range(7)) - seen
    assert len(left_out) > 1


@pytest.mark.parametrize("size", [1, 8, 1000])
@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 3, 7, 100, 129])
def test_evaluation_reads_every_example_once_in_order(n: int, world: int, size: int) -> None:
    seen = [read(loader) for loader in ranks(n, world, size)]
    assert all(share == sorted(share) for share in seen)
    assert sorted(i for share in seen for i in share) == list(range(n))


def test_evaluation_on_one_rank_keeps_the_order_of_the_indices() -> None:
    x = torch.arange(10)
    loader = BatchLoader(x, x, torch.tensor([7, 2, 9, 0]), batch_size=3)
    assert [batch.tolist() for batch, _ in loader] == [[7, 2, 9], [0]]


def test_evaluation_order_is_the_same_in_every_epoch() -> None:
    [loader] = ranks(9, 1, size=4)
    before = read(loader)
    loader.set_epoch(5)
    assert read(loader) == before


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("size", [1, 8, 1000])
@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("n", [4, 7, 100, 129])
def test_len_is_the_number_of_batches(n: int, world: int, size: int, seed: int | None) -> None:
    for loader in ranks(n, world, size, seed):
        assert len(loader) == len(list(loader))


def test_a_rank_without_examples_reads_no_batch_in_training() -> None:
    last = ranks(1, 2, 8, 3)[1]
    assert len(last) == 0
    assert list(last) == []


def test_a_rank_without_examples_reads_one_empty_batch_in_evaluation() -> None:
    last = ranks(1, 2, 8, None)[1]
    assert len(last) == 1
    assert sizes(last) == [0]


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_resumed_epoch_continues_with_the_next_batch(done: int) -> None:
    [whole] = ranks(10, 1, size=4, seed=3)
    [rest] = ranks(10, 1, size=4, seed=3)
    rest.done = lambda: done
    for (x, y), (a, b) in zip(list(whole)[done:], rest, strict=True):
        assert torch.equal(x, a)
        assert torch.equal(y, b)


def test_the_last_batch_has_the_remaining_examples() -> None:
    [loader] = ranks(10, 1, size=4, seed=3)
    assert sizes(loader) == [4, 4, 2]


def test_the_order_is_the_same_for_the_same_seed_and_epoch() -> None:
    torch.manual_seed(1)
    first = read(*ranks(100, 1, 8, seed=3))
    torch.manual_seed(2)
    assert read(*ranks(100, 1, 8, seed=3)) == first


def test_iterating_twice_in_one_epoch_reads_the_same_order() -> None:
    [loader] = ranks(100, 1, 8, seed=3)
    assert read(loader) == read(loader)


def test_the_order_differs_between_epochs() -> None:
    [loader] = ranks(100, 1, 8, seed=3)
    orders = []
    for epoch in range(5):
        loader.set_epoch(epoch)
        orders.append(tuple(read(loader)))
    assert len(set(orders)) == 5


def test_the_order_differs_between_seeds() -> None:
    orders = [tuple(read(*ranks(100, 1, 8, seed=seed))) for seed in range(5)]
    assert len(set(orders)) == 5


def test_all_seeds_and_epochs_have_different_orders() -> None:
    orders = set()
    for seed in range(4):
        [loader] = ranks(100, 1, 8, seed=seed)
        for epoch in range(4):
            loader.set_epoch(epoch)
            orders.add(tuple(read(loader)))
    assert len(orders) == 16


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_smallest_and_largest_seed_of_lightning_are_accepted(seed: int) -> None:
    assert sorted(read(*ranks(9, 1, 4, seed))) == list(range(9))


def test_lightning_sets_the_epoch_through_the_sampler() -> None:
    [loader] = ranks(100, 1, 8, seed=3)
    _set_sampler_epoch(loader, 4)
    [expected] = ranks(100, 1, 8, seed=3)
    expected.set_epoch(4)
    assert loader.epoch == 4
    assert read(loader) == read(expected)


@pytest.mark.parametrize("seed", [None, 3])
def test_batches_are_the_examples_at_the_indices(seed: int | None) -> None:
    x, y = torch.rand(50, 2, 3), torch.rand(50, 1)
    indices = torch.arange(0, 50, 3)
    loader = BatchLoader(x, y, indices, 5, seed)
    order = loader.order().numpy()
    assert sorted(order.tolist()) == indices.tolist()
    for i, (batch_x, batch_y) in enumerate(loader):
        chosen = order[5 * i : 5 * i + 5]
        np.testing.assert_array_equal(batch_x.numpy(), x.numpy()[chosen])
        np.testing.assert_array_equal(batch_y.numpy(), y.numpy()[chosen])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_batches_keep_the_dtype(dtype: torch.dtype) -> None:
    x = torch.arange(6).to(dtype)
    assert all(batch.dtype == dtype for batch, _ in BatchLoader(x, x, torch.arange(6), 4, seed=0))


def test_the_source_is_neither_copied_nor_changed() -> None:
    x, y, indices = torch.rand(20, 3), torch.rand(20, 1), torch.arange(20)
    before = [tensor.clone() for tensor in (x, y, indices)]
    loader = BatchLoader(x, y, indices, 6, seed=0)
    for batch_x, batch_y in loader:
        batch_x.zero_()
        batch_y.zero_()
    assert loader.x.data_ptr() == x.data_ptr()
    assert loader.y.data_ptr() == y.data_ptr()
    for tensor, old in zip((x, y, indices), before, strict=True):
        assert torch.equal(tensor, old)
