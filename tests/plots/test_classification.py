"""The pictures of a classifier show the numbers of scikit-learn, torchmetrics and numpy."""

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from src.plots.classification import (
    bins,
    class_scores,
    confused_pairs,
    confusion,
    confusion_matrix,
    reliability,
    scores,
)


def guesses(classes: int, n: int = 500, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return predictions and labels; about half are right."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (n,), generator=generator)
    other = torch.randint(classes, (n,), generator=generator)
    return torch.where(torch.rand(n, generator=generator) < 0.5, y, other), y


def with_absent_classes() -> tuple[Tensor, Tensor]:
    """Return predictions and labels of six classes, some of which are absent.

    Class 1 has no labels, class 2 no predictions, and class 5 neither.
    """
    predicted, y = guesses(6)
    keep = (y != 1) & (y != 5)
    predicted, y = predicted[keep], y[keep]
    return torch.where((predicted == 2) | (predicted == 5), 1, predicted), y


def letters(n: int) -> list[str]:
    return [f"c{i:02}" for i in range(n)]


def test_counts_equal_scikit_learn() -> None:
    for predicted, y, classes in [(*guesses(10), 10), (*with_absent_classes(), 6)]:
        expected = metrics.confusion_matrix(y, predicted, labels=range(classes))
        counts = confusion(predicted, y, classes)
        assert counts.dtype == torch.int64
        np.testing.assert_array_equal(counts, expected)


def test_scores_equal_scikit_learn() -> None:
    for predicted, y, classes in [(*guesses(10), 10), (*with_absent_classes(), 6)]:
        expected = metrics.precision_recall_fscore_support(
            y, predicted, labels=range(classes), zero_division=0
        )
        for ours, theirs in zip(scores(confusion(predicted, y, classes)), expected, strict=False):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_the_matrix_shows_counts_and_shares() -> None:
    predicted, y = with_absent_classes()
    counts = metrics.confusion_matrix(y, predicted, labels=range(6))
    share = metrics.confusion_matrix(y, predicted, labels=range(6), normalize="true")
    figure = confusion_matrix(confusion(predicted, y, 6), letters(6))
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), share, rtol=1e-6)
    shown = {text.get_position(): text for text in axes.texts}
    filled = [(row, column) for row in range(6) for column in range(6) if counts[row, column]]
    assert len(axes.texts) == len(filled)
    for row, column in filled:
        text = shown[column, row]  # x, y
        assert text.get_text() == f"{counts[row, column]}\n{100 * share[row, column]:.1f} %"
        assert text.get_color() == ("white" if share[row, column] > 0.5 else "black")
    assert {text.get_color() for text in axes.texts} == {"white", "black"}
    accuracy = 100 * metrics.accuracy_score(y, predicted)
    assert axes.get_title() == f"{accuracy:.2f} % of {len(y)} right"
    assert [label.get_text() for label in axes.get_xticklabels()] == letters(6)
    assert [label.get_text() for label in axes.get_yticklabels()] == letters(6)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


@pytest.mark.parametrize(("classes", "texts"), [(30, True), (31, False)])
def test_numbers_and_names_of_more_than_thirty_classes_are_left_out(
    classes: int, texts: bool
) -> None:
    figure = confusion_matrix(confusion(*guesses(classes), classes), letters(classes))
    axes = figure.axes[0]
    assert bool(axes.texts) == texts
    assert ("c00" in [label.get_text() for label in axes.get_xticklabels()]) == texts
    assert ("c00" in [label.get_text() for label in axes.get_yticklabels()]) == texts


def test_pairs_are_the_most_frequent_mistakes_in_order() -> None:
    predicted, y = with_absent_classes()
    predicted, y = torch.cat([predicted, y]), torch.cat([y, y])  # the largest counts are right
    counts = metrics.confusion_matrix(y, predicted, labels=range(6))
    mistakes = sorted(
        ((-counts[t, p], t, p) for t in range(6) for p in range(6) if t != p and counts[t, p]),
    )
    for most in (4, 12, 99):
        axes = confused_pairs(torch.from_numpy(counts), letters(6), most).axes[0]
        chosen = mistakes[:most]
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == [f"c{t:02} → c{p:02}" for _, t, p in chosen]
        assert [bar.get_width() for bar in axes.patches] == [-n for n, _, _ in chosen]
        texts = [text.get_text() for text in axes.texts]
        assert texts == [f"{-n} ({100 * -n / (y == t).sum():.1f} %)" for n, t, _ in chosen]
        assert axes.yaxis_inverted()  # the first on top


def test_scores_are_shown_by_class() -> None:
    predicted, y = with_absent_classes()
    expected = metrics.precision_recall_fscore_support(
        y, predicted, labels=range(6), zero_division=0
    )
    figure = class_scores(confusion(predicted, y, 6), letters(6))
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["precision", "recall", "F1"]
    for line, values in zip(lines.values(), expected, strict=False):
        np.testing.assert_allclose(line.get_xdata(), 100 * values, rtol=1e-6)
        assert [*line.get_ydata()] == [*range(6)]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"c{i:02}   {100 * f1:.1f}" for i, f1 in enumerate(expected[2])]
    assert axes.yaxis_inverted()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(lines)


def test_scores_show_the_worst_thirty_classes_in_class_order() -> None:
    predicted, y = guesses(40, n=4000)
    f1 = metrics.f1_score(y, predicted, average=None)
    worst = np.sort(np.argsort(f1)[:30])
    axes = class_scores(confusion(predicted, y, 40), letters(40)).axes[0]
    np.testing.assert_allclose(axes.lines[2].get_xdata(), 100 * f1[worst], rtol=1e-6)
    names = [label.get_text()[:3] for label in axes.get_yticklabels()]
    assert names == [f"c{i:02}" for i in worst]


def probabilities(n: int = 1000) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn((n, 5), generator=generator)
    other = torch.randint(5, (n,), generator=generator)
    sure = torch.rand(n, generator=generator) < 0.6
    return logits.softmax(dim=1), torch.where(sure, logits.argmax(dim=1), other)


def confidence_and_correct(chances: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probability of each prediction, and whether it is right."""
    confidence, predicted = chances.max(dim=1)
    return confidence, predicted == y


def test_reliability_equals_the_calibration_error_of_torchmetrics() -> None:
    chances, y = probabilities()
    figure = reliability(*confidence_and_correct(chances, y))
    axes, below = figure.axes
    confidence, right = chances.max(dim=1).values.numpy(), (chances.argmax(dim=1) == y).numpy()
    place = np.floor(15 * confidence).astype(int)
    filled = np.unique(place)
    assert 5 < len(filled) < 15  # no confidence is below a fifth
    bars = [bar for bar in axes.patches if bar.get_width() < 0.5]
    np.testing.assert_allclose([bar.get_x() for bar in bars], filled / 15)
    np.testing.assert_allclose([bar.get_width() for bar in bars], 1 / 15)
    share = [right[place == i].mean() for i in filled]
    np.testing.assert_allclose([bar.get_height() for bar in bars], share)
    sure = [confidence[place == i].mean() for i in filled]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), np.transpose([sure, share]), rtol=1e-6)
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[0, 0], [1, 1]])
    count, edges = np.histogram(confidence, 15, (0, 1))
    np.testing.assert_allclose([bar.get_height() for bar in below.patches], count)
    np.testing.assert_allclose([bar.get_x() for bar in below.patches], edges[:-1], atol=1e-12)
    error = multiclass_calibration_error(chances, y, num_classes=5, n_bins=15, norm="l1").item()
    weighted = (count[filled] * np.abs(np.subtract(sure, share))).sum() / len(y)
    assert error == pytest.approx(weighted, rel=1e-5)
    assert error > 0.1
    assert axes.get_title() == f"expected calibration error {100 * error:.2f} %"


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    """Bins include their upper edge, as in Guo et al., and the first one also 0."""
    confidence = torch.tensor([0.0, 0.01, 1 / 15 + 1e-4, 0.5, 14 / 15 - 1e-4, 14 / 15 + 1e-4, 1])
    count, sure, right = bins(confidence, torch.tensor([0, 1, 1, 0, 1, 0, 1]).bool())
    expected = np.zeros(15)
    np.add.at(expected, [0, 0, 1, 7, 13, 14, 14], 1)
    np.testing.assert_array_equal(count, expected)
    assert bins(torch.tensor([0.0625], dtype=torch.float64) * 16 * 3 / 15, right[:1] > 0)[0][2] == 1
    assert right[[0, 1, 7, 14]].tolist() == [0.5, 1, 0, 0.5]
    assert sure[14].item() == pytest.approx((14 / 15 + 1e-4 + 1) / 2)


def test_calibration_error_is_0_if_sure_and_right_and_100_if_sure_and_wrong() -> None:
    y = torch.arange(4)
    title = reliability(*confidence_and_correct(torch.eye(4), y)).axes[0].get_title()
    assert title == "expected calibration error 0.00 %"
    wrong = reliability(*confidence_and_correct(torch.eye(4), y.flip(0))).axes[0].get_title()
    assert wrong == "expected calibration error 100.00 %"
