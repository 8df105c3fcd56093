"""Lesson 6: without runs, with finished runs, and its numbers computed again with numpy."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from scripts.lesson import LESSONS
from src.errors import UserError
from tests.scripts.lessons.running import Run, assert_cells, assert_drawn, run_lesson

pytestmark = pytest.mark.slow
FILE = "6_from_a_line_to_lenet.py"
CONFIGS = ["mnist_logistic", "mnist_sigmoid_mlp", "mnist_relu_mlp", "mnist_mlp", "mnist_lenet"]


def without_network(urls: Sequence[str], md5: str, target: Path) -> None:
    raise UserError("no network")


def run_on_the_digits(folder: Path, *changes: tuple[str, str]) -> Run:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(folder / "data"))
        patch.setattr("src.data.mnist.fetch", without_network)
        with pytest.warns(UserWarning, match="NOT MNIST"):
            return run_lesson(FILE, folder, *changes)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The lesson without existing runs, with two epochs instead of twenty to save time."""
    folder = tmp_path_factory.mktemp("lesson")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(LESSONS)
        import ladder

        patch.setitem(ladder.EPOCHS, "digits", 2)
        return run_on_the_digits(folder)


@pytest.fixture(scope="module")
def lesson(untrained: Run) -> Run:
    """The lesson with these runs finished, and two more that must be ignored."""
    logs = untrained.pictures.parent
    for config in CONFIGS:
        (untrained.pictures / config).rename(logs / config)
    for name in ("version_1", "version_2"):  # newer, but tested on few digits, and killed
        shutil.copytree(logs / "mnist_mlp/version_0", logs / "mnist_mlp" / name)
    few = logs / "mnist_mlp/version_1/results.json"
    few.write_text(json.dumps({**json.loads(few.read_text()), "tested": 20}))
    (logs / "mnist_mlp/version_2/results.json").unlink()
    return run_on_the_digits(logs.parent)


def test_missing_runs_are_trained_and_reported(untrained: Run) -> None:
    for config in CONFIGS:
        assert f"{config} has no finished run: training it for 2 epochs only" in untrained.text
        assert f"{config}: lessons/{config}/version_0" in untrained.text
    assert [result["epochs"] for result in untrained.results] == [2] * 5


def test_finished_runs_are_used_and_drawn(lesson: Run) -> None:
    assert "no finished run" not in lesson.text
    for config in CONFIGS:
        assert f"  {config}: {config}/version_0, trained for " in lesson.text
    pictures = ("rungs", "first_weights", "gradients", "mistakes")
    assert_drawn(lesson, [f"6_{name}.png" for name in pictures])
    assert "257 test digits" in lesson.text
    assert "LeNet makes" in lesson.text
    assert "61,706 parameters against 668,672" in lesson.text


def test_numbers_of_parameters_are_right(lesson: Run) -> None:
    lenet = 6 * 26 + 16 * 151 + 401 * 120 + 121 * 84 + 85 * 10
    relu = 785 * 128 + 129 * 64 + 65 * 10
    wide = 784 * 512 + 512 * 512 + 512 * 10
    assert lesson.parameters == [7840, 784 * 512 + 512 * 10, relu, wide, lenet]


def test_predictions_and_mistakes_equal_those_of_numpy(lesson: Run) -> None:
    names = vars(lesson)
    labels = names["labels"].numpy()
    for index, activation in ((0, None), (1, lambda h: 1 / (1 + np.exp(-h)))):
        data = names["runs"][index].data
        x = (names["images"].numpy().astype(float) - data.mean.item()) / data.std.item()
        h = x.reshape(len(x), -1)
        for layer in names["runs"][index].model.net:
            if isinstance(layer, nn.Linear):
                h = h @ layer.weight.detach().numpy().astype(float).T
            elif not isinstance(layer, nn.Flatten):
                h = activation(h)
        predicted = names["predicted"][index].numpy()
        assert (h.argmax(axis=1) == predicted).mean() > 0.99  # rounding may differ
    wrong = names["predicted"].numpy() != labels
    assert names["wrong"] == wrong.sum(axis=1).tolist()
    *changes, by_all = names["rows"].values()
    for i, fixed in enumerate(changes):
        assert fixed.tolist() == (wrong[i] & ~wrong[i + 1]).tolist()
    assert by_all.tolist() == wrong.all(axis=0).tolist()


def test_gradients_of_untrained_networks_equal_those_of_numpy(lesson: Run) -> None:
    names = vars(lesson)
    torch.manual_seed(0)
    net = names["multilayer"]([784, 100, 100, 100, 100, 100, 10], "sigmoid")
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    weights = [layer.weight.detach().numpy().astype(float) for layer in layers]
    values = [names["x"].flatten(1).numpy().astype(float)]
    for layer, weight in zip(layers, weights, strict=True):
        h = values[-1] @ weight.T + layer.bias.detach().numpy()
        values.append(1 / (1 + np.exp(-h)))
    p = np.exp(h)  # logits: no activation function after the last layer
    d = p / p.sum(axis=1, keepdims=True) - np.eye(10)[names["y"].numpy()]
    d /= len(d)
    norms = []
    for weight, value in zip(reversed(weights), reversed(values[:-1]), strict=True):
        norms.insert(0, np.linalg.norm(d.T @ value))
        d = d @ weight * value * (1 - value)
    np.testing.assert_allclose(names["norms"]["sigmoid"], norms, rtol=1e-3)


def test_the_gradient_of_the_first_sigmoid_layer_is_tiny_and_printed(lesson: Run) -> None:
    first, *_, last = lesson.norms["sigmoid"]
    assert first < 0.01 * last
    assert (
        f"sigmoid      untrained, gradient of layer 1 / layer 6: {first / last:.2g}" in lesson.text
    )


def test_gaps_equal_those_of_the_curves(lesson: Run) -> None:
    assert len(lesson.gaps) == 3
    for gap, config in zip(lesson.gaps, CONFIGS[2:], strict=True):
        text = (lesson.pictures.parent / config / "version_0/curves.csv").read_text()
        rows = [line.split(",") for line in text.splitlines()[1:]]
        on_train = [(float(row[1]), float(row[3])) for row in rows if row[2] == "train/loss"]
        last = [loss for epoch, loss in on_train if epoch > on_train[-1][0] - 1]
        on_val = [float(row[3]) for row in rows if row[2] == "val/loss"]
        np.testing.assert_allclose(gap, on_val[-1] - np.mean(last), atol=1e-5)
        assert f" {gap:>+6.3f}\n" in lesson.text


def test_it_fails_if_a_number_of_parameters_is_wrong(lesson: Run, tmp_path: Path) -> None:
    right = "layer.in_features + (layer.bias is not None)"
    shutil.copytree(lesson.pictures.parent, tmp_path / "lightning_logs")
    with pytest.raises(AssertionError, match="logistic regression: parameters: 7840"):
        run_on_the_digits(tmp_path, (right, "layer.in_features + 1"))


def test_it_opens_as_a_notebook() -> None:
    assert_cells(FILE)
