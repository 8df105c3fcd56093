"""Lesson 5: its output, its loop computed again in numpy, and its experiments."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.lesson import LESSONS
from src.cli import main as linenet
from src.runs.curves import read_curves
from tests.scripts.lessons.running import (
    Run,
    assert_cells,
    assert_drawn,
    fails_when_broken,
    run_lesson,
)

pytestmark = pytest.mark.slow
FILE = "5_training_loop.py"


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Run:
    torch.set_num_threads(1)
    return run_lesson(FILE, tmp_path_factory.mktemp("lesson"))


def test_it_prints_its_sections_and_draws(lesson: Run) -> None:
    assert_drawn(lesson, ["5_overfitting.png", "5_choosing_the_epoch.png"])
    for what in (
        "1027 train, 513 val, 257 test", "2. The loop, by hand\n--------------------",
        "step   by hand      Lightning", "of the same writers, 70.0% of new writers",
        "no remedy: training loss", "epoch chosen by test:       reported test accuracy",
        "accuracy, twice on the same digits",
    ):  # fmt: skip
        assert what in lesson.text


def test_the_losses_equal_those_of_a_loop_in_numpy(lesson: Run) -> None:
    names = vars(lesson)
    x = names["x"].flatten(1).numpy().astype(float)
    y = names["y"].numpy()
    w, b, v, c = (p.detach().numpy().astype(float) for p in names["first"].parameters())
    expected = []
    for epoch in range(3):
        names["batches"].set_epoch(epoch)
        order = names["batches"].order().numpy()
        assert sorted(order) == sorted(names["train"].tolist())
        for chosen in np.split(order, range(100, len(order), 100)):
            h = x[chosen] @ w.T + b
            logits = np.maximum(h, 0) @ v.T + c
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            expected.append(-np.log(p[range(len(chosen)), y[chosen]]).mean())
            p[range(len(chosen)), y[chosen]] -= 1
            d = p / len(chosen)  # gradient of the logits
            e = d @ v * (h > 0)
            v, c = v - 0.05 * d.T @ np.maximum(h, 0), c - 0.05 * d.sum(axis=0)
            w, b = w - 0.05 * e.T @ x[chosen], b - 0.05 * e.sum(axis=0)
    assert len(expected) == 33
    np.testing.assert_allclose(names["losses"], expected, atol=1e-5)
    np.testing.assert_allclose(names["recorded"].values, expected, atol=1e-5)


def test_one_step_equals_its_formula(lesson: Run) -> None:
    assert lesson.text.count("a bias after one step: b - rate * gradient") == 1
    bias = lesson.bias
    assert bias.grad.abs().max() > 0.01  # otherwise the check would be meaningless
    found = lesson.moved[-1].bias  # of the network that was trained for one batch
    np.testing.assert_allclose(found.detach(), (bias - 0.05 * bias.grad).detach(), atol=1e-7)


def test_a_network_overfits_and_remedies_help(lesson: Run) -> None:
    assert list(lesson.on_val) == ["no remedy", "dropout", "weight decay"]
    overfitted, *remedied = (measured[-1][0] for measured in lesson.on_val.values())
    assert all(loss < 0.7 * overfitted for loss in remedied)
    assert all(loss[-1] < 0.01 * loss[0] for loss in lesson.on_train.values())  # memorised


def test_a_network_that_overfits_is_confident_and_not_less_accurate(lesson: Run) -> None:
    for measured in lesson.on_val.values():
        assert measured[-1][1] > min(measured)[1] - 0.01
    lowest, last = min(lesson.on_val["no remedy"]), lesson.on_val["no remedy"][-1]
    assert last[2] > lowest[2] + 0.1


def test_evaluation_equals_numpy(lesson: Run) -> None:
    net, val = lesson.spare.eval(), lesson.val
    with torch.no_grad():
        logits = net(lesson.x[val]).numpy().astype(float)
    labels = lesson.y[val].numpy()
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    wrong = p.argmax(axis=1) != labels
    expected = -np.log(p[range(len(p)), labels]).mean(), 1 - wrong.mean(), p[wrong].max(1).mean()
    assert lesson.evaluate(net, val) == pytest.approx(expected, abs=1e-5)


def test_choosing_on_the_test_set_is_biased_and_choosing_on_validation_is_not(
    lesson: Run,
) -> None:
    points = lesson.points
    assert points.shape == (200, 4)
    assert (points[:, 0] >= points[:, 2]).all()  # the best epoch has the highest accuracy
    bias = points[:, 0] - points[:, 1]
    assert bias.mean() > 1
    assert abs((points[:, 2] - points[:, 3]).mean()) < 1
    trained_on = set(lesson.small.tolist())
    assert len(trained_on) == 100
    assert trained_on.isdisjoint(lesson.unseen.tolist())
    parts = [vars(lesson)[name] for name in ("test_part", "val_part", "fresh")]
    assert [len(part) for part in parts] == [100, 100, 1240]
    assert len(torch.cat(parts).unique()) == 1440


def test_sorted_batches_predict_the_last_class(lesson: Run) -> None:
    """The answer to an exercise."""
    net, train, y = copy.deepcopy(lesson.model.net), lesson.train, lesson.y
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for _ in range(3):
        lesson.one_epoch(net, optimizer, train[y[train].argsort(stable=True)])
    answers = net(lesson.x[lesson.val]).argmax(dim=1).bincount(minlength=10)
    assert answers.argmax() == 9
    assert answers[9] == pytest.approx(328, abs=5)  # rounding may differ
    assert lesson.evaluate(net, lesson.val)[1] == pytest.approx(0.238, abs=0.01)


def test_one_command_gives_the_same_losses(lesson: Run, tmp_path: Path) -> None:
    """The answer to an exercise."""
    text = (LESSONS / FILE).read_text().replace("\n#    ", " ")
    [words] = re.findall(r"`\./scripts/run (fit [^`]*)`", text)
    linenet([*words.split(), "--trainer.logger.save_dir", str(tmp_path), "--report", "false"])
    [path] = tmp_path.glob("ReLUMLP/*/curves.csv")
    curves = read_curves(path.read_text())
    np.testing.assert_allclose(curves["val/loss"][1], lesson.val_losses, atol=1e-5)
    assert f"right: {curves['val/acc'][1][-1]:.1%} of the same writers" in lesson.text
    assert f"{curves['test/acc'][1][-1]:.1%} of new writers" in lesson.text


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("        optimizer.zero_grad()  # 1.", "        # 1."),
        ("bias - RATE * bias.grad\n", "bias + RATE * bias.grad\n"),
        ("batches.set_epoch(epoch)\n    losses", "losses"),  # the same order in each epoch
    ],
)
def test_it_fails_if_the_loop_is_wrong(right: str, wrong: str, tmp_path: Path) -> None:
    assert "not" in fails_when_broken(FILE, right, wrong, tmp_path)


def test_it_opens_as_a_notebook() -> None:
    assert_cells(FILE)
