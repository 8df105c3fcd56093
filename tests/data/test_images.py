"""Normalisation of images equals numpy, and augmentation works in a Trainer."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from src.data import CIFAR10, MNIST, ImageFolder
from src.data.augment import Augment
from src.data.images import ImageData, Images, _generator

AUGMENT = Augment(shift=2, rotation=10, elastic=1, crop=1, erase=0.3)


def coloured(n: int, seed: int) -> Images:
    """Return images whose channels differ in mean and deviation."""
    generator = np.random.default_rng(seed)
    channels = [generator.integers(a, b, (n, 8, 10)) for a, b in ((0, 256), (100, 120), (200, 255))]
    return torch.from_numpy(np.stack(channels, axis=1).astype(np.uint8)), torch.arange(n) % 3


class Toy(ImageData):
    """Images of coloured noise, or one image repeated, so that the order makes no difference.

    Args:
        alike: Whether all images are the same.
    """

    num_classes = num_outputs = 3
    source = "generated"

    def __init__(self, alike: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"val_size": 20, "batch_size": 10, **kwargs})
        self.alike = alike
        self.input_shape = [3, 8 + 2 * self.pad, 10 + 2 * self.pad]

    def load(self) -> tuple[Images, Images]:
        (x, y), test = coloured(50, seed=0), coloured(12, seed=1)
        return (x[:1].repeat(50, 1, 1, 1) if self.alike else x, y), test


class Recorder(LightningModule):
    """A model that keeps the batches of each stage."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.batches: dict[str, list[Tensor]] = {"train": [], "val": [], "test": []}

    def training_step(self, batch: Images) -> Tensor:
        self.batches["train"].append(batch[0])
        return self.weight * batch[0].mean()

    def validation_step(self, batch: Images) -> None:
        self.batches["val"].append(batch[0])

    def test_step(self, batch: Images) -> None:
        self.batches["test"].append(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(epochs: int, **kwargs: Any) -> Trainer:
    return Trainer(
        **kwargs,
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def seen(data: ImageData, epochs: int = 1, **kwargs: Any) -> dict[str, list[Tensor]]:
    """Return the batches that a model gets in training, validation and test."""
    model, runs = Recorder(), trainer(epochs)
    runs.fit(model, data, **kwargs)
    runs.test(model, data, verbose=False)
    return model.batches


def ready(**kwargs: Any) -> Toy:
    data = Toy(**kwargs)
    data.setup("fit")
    return data


def training_images(data: ImageData) -> np.ndarray:
    split = data.splits["train"]
    return split.x.numpy()[split.indices.numpy()].astype(np.float64)


def test_mean_and_deviation_are_those_of_the_training_images_only() -> None:
    data = ready()
    x = training_images(data)
    assert len(x) == 30
    np.testing.assert_allclose(data.mean.flatten().numpy(), x.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.std.flatten().numpy(), x.std((0, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_batches_are_normalised_as_by_numpy(name: str) -> None:
    data = ready()
    x = training_images(data) / 255
    mean, deviation = x.mean((0, 2, 3)), x.std((0, 2, 3))
    for batch in getattr(data, f"{name}_dataloader")():
        pixels = batch[0].numpy() / 255
        expected = (pixels - mean[:, None, None]) / deviation[:, None, None]
        result, labels = data.on_after_batch_transfer(batch, 0)
        assert result.dtype == torch.float32
        assert torch.equal(labels, batch[1])
        np.testing.assert_allclose(result.numpy(), expected, atol=2e-5)


def test_normalised_training_images_have_mean_0_and_deviation_1() -> None:
    data = ready()
    batches = [data.on_after_batch_transfer(batch, 0)[0] for batch in data.train_dataloader()]
    x = torch.cat(batches).double()
    np.testing.assert_allclose(x.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std((0, 2, 3), correction=0), 1, atol=1e-5)


def test_padding_has_the_value_of_a_black_pixel() -> None:
    data = ready(pad=2)
    x, _ = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    black = ((0 - data.mean) / data.std).flatten()
    for side in (x[:, :, :2], x[:, :, -2:], x[:, :, :, :2], x[:, :, :, -2:]):
        assert (side == black[:, None, None]).all()


def test_denormalise_inverts_normalisation() -> None:
    data = ready()
    for batch in data.test_dataloader():
        normalised, _ = data.on_after_batch_transfer(batch, 0)
        result = data.denormalise(normalised).numpy()
        np.testing.assert_allclose(result, batch[0].numpy() / 255, atol=1e-6)
        assert 0 <= result.min() <= result.max() <= 1


class Grey(Toy):
    """Images of one value."""

    def load(self) -> tuple[Images, Images]:
        x, y = torch.full((50, 3, 8, 10), 7, dtype=torch.uint8), torch.zeros(50).long()
        return (x, y), (x, y)


def test_images_of_one_value_become_zeros() -> None:
    data = Grey()
    data.setup("fit")
    x, _ = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert (x == 0).all()


def test_images_stay_bytes_in_memory() -> None:
    assert {split.x.dtype for split in ready(pad=2).splits.values()} == {torch.uint8}


def test_training_and_validation_share_one_tensor() -> None:
    splits = ready().splits
    assert splits["train"].x.data_ptr() == splits["val"].x.data_ptr()


def test_training_images_are_augmented_and_others_are_not() -> None:
    plain, changed = seen(Toy()), seen(Toy(augment=AUGMENT))
    assert not any(
        torch.equal(one, two) for one, two in zip(plain["train"], changed["train"], strict=True)
    )
    for name in ("val", "test"):
        assert torch.equal(torch.cat(plain[name]), torch.cat(changed[name]))


def test_augmentation_does_not_change_the_images_in_memory() -> None:
    data = ready(augment=AUGMENT)
    before = {name: split.x.clone() for name, split in data.splits.items()}
    seen(data, epochs=2)
    assert all(torch.equal(split.x, before[name]) for name, split in data.splits.items())


def test_pixels_added_by_augmentation_are_black() -> None:
    data = Toy(augment=Augment(crop=3))
    x = torch.cat(seen(data)["train"])
    pixels = x * data.std + data.mean
    assert (pixels[:, 2].abs() < 1e-3).any()  # this channel of the images has 200 and more
    assert pixels.min() > -1e-3


def test_augmented_batches_are_the_same_for_the_same_seed() -> None:
    torch.manual_seed(1)
    first = seen(Toy(seed=3, augment=AUGMENT), epochs=2)["train"]
    torch.manual_seed(2)
    second = seen(Toy(seed=3, augment=AUGMENT), epochs=2)["train"]
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_augmented_batches_differ_between_steps_and_epochs() -> None:
    batches = seen(Toy(alike=True, augment=AUGMENT), epochs=2)["train"]
    assert len({batch.numpy().tobytes() for batch in batches}) == 6


def test_augmented_batches_differ_between_seeds() -> None:
    first = [seen(Toy(alike=True, seed=seed, augment=AUGMENT))["train"][0] for seed in range(3)]
    assert len({batch.numpy().tobytes() for batch in first}) == 3


def test_augmented_batches_do_not_depend_on_batches_before_them() -> None:
    one = seen(Toy(alike=True, augment=AUGMENT))["train"]
    two = seen(Toy(alike=True, augment=AUGMENT, train_size=20))["train"]
    assert torch.equal(one[1], two[1])


def test_a_resumed_run_gets_the_batches_of_an_uninterrupted_one(tmp_path: Path) -> None:
    data, start = Toy(augment=AUGMENT), trainer(1)
    start.fit(Recorder(), data)
    start.save_checkpoint(tmp_path / "one.ckpt")
    resumed = seen(Toy(augment=AUGMENT), epochs=2, ckpt_path=tmp_path / "one.ckpt")["train"]
    whole = seen(Toy(augment=AUGMENT), epochs=2)["train"]
    assert len(resumed) == 3
    assert all(torch.equal(one, two) for one, two in zip(resumed, whole[3:], strict=True))


def test_every_process_and_step_has_its_own_random_numbers() -> None:
    draws = set()
    for step in range(-1, 5):
        for rank in range(3):
            loop = SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=step))
            runs: Any = SimpleNamespace(fit_loop=loop, world_size=3, global_rank=rank)
            generator = _generator(5, runs, torch.device("cpu"))
            draws.add(torch.rand(1, generator=generator).item())
    assert len(draws) == 18


@pytest.mark.filterwarnings("ignore:You requested to overfit")
def test_overfit_batches_gives_the_same_examples_in_every_epoch() -> None:
    model = Recorder()
    trainer(epochs=2, overfit_batches=2).fit(model, Toy())
    first, second = torch.cat(model.batches["train"]).split(20)
    assert {x.numpy().tobytes() for x in first} == {x.numpy().tobytes() for x in second}


@pytest.mark.parametrize("kind", [MNIST, CIFAR10, ImageFolder])
def test_hparams_are_plain_values(kind: type[ImageData], data_root: Path) -> None:
    path = {"path": "images"} if kind is ImageFolder else {}
    data = kind(root=str(data_root), val_size=7, seed=3, augment=AUGMENT, **path)
    file = io.BytesIO()
    torch.save(dict(data.hparams), file)
    file.seek(0)
    hparams = torch.load(file, weights_only=True)
    assert hparams["val_size"] == 7
    assert hparams["seed"] == 3
    assert hparams["augment"]["rotation"] == 10


def test_hparams_without_augmentation_have_none(data_root: Path) -> None:
    assert MNIST(root=str(data_root)).hparams["augment"] is None
