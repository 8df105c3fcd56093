"""The texts of a picture do not overlap, and stay within its edges."""

from collections.abc import Callable
from math import log

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from src.plots import classification, images, regression, stress, training
from src.plots.comparison import Curve, overlaid_curves
from src.plots.search import lr_search
from tests.plots.test_classification import confidence_and_correct, guesses, probabilities
from tests.plots.test_images import pixels
from tests.plots.test_regression import outputs, points
from tests.plots.test_stress import BINS, SURE, panels
from tests.plots.test_stress import sheet as strengths
from tests.plots.test_training import series

DIGITS = [str(i) for i in range(10)]
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MANY = [f"automobile {i:03}" for i in range(40)]


def sheet(names: list[str], n: int) -> Figure:
    captions = [f"{names[1]}  100 %\ntrue: {names[1]}"] * n
    title = "worst mistakes of the test set: prediction, how sure, and truth"
    return images.image_sheet(title, pixels(n, 3, 32, 32), captions, [False] * n)


def counts(names: list[str]) -> torch.Tensor:
    return 50 * classification.confusion(*guesses(len(names)), len(names))  # up to four digits


def of_a_training() -> Figure:
    some = {"train": series(2.0, 1.0, 0.01), "val": series(2.1, 1.3, 1.2)}
    return training.curves(some, some, "mse", best=1.5, start=2.3456, guess=log(10))


def by_layer(kind: str, n: int) -> dict[str, training.Series]:
    return {f"{kind} net.{i}.weight": series(1.0, 0.5, 0.001 * i) for i in range(n)}


def surface(width: int) -> Figure:
    path = torch.tensor([[-123.4, 2000.0], [0.5, 1.0]])[:, :width]
    return regression.loss_surface(*points(), path, path[-1])


FIGURES: dict[str, Callable[[], Figure]] = {
    "matrix of digits": lambda: classification.confusion_matrix(counts(DIGITS), DIGITS),
    "matrix of names": lambda: classification.confusion_matrix(counts(CIFAR10), CIFAR10),
    "matrix of two": lambda: classification.confusion_matrix(counts(CIFAR10[:2]), CIFAR10[:2]),
    "matrix of thirty": lambda: classification.confusion_matrix(counts(MANY[:30]), MANY[:30]),
    "matrix of many": lambda: classification.confusion_matrix(counts(MANY), MANY),
    "pairs of digits": lambda: classification.confused_pairs(counts(DIGITS), DIGITS),
    "pairs of names": lambda: classification.confused_pairs(counts(CIFAR10), CIFAR10),
    "pairs of two": lambda: classification.confused_pairs(counts(CIFAR10[:2]), CIFAR10[:2]),
    "scores of digits": lambda: classification.class_scores(counts(DIGITS), DIGITS),
    "scores of names": lambda: classification.class_scores(counts(CIFAR10), CIFAR10),
    "scores of two": lambda: classification.class_scores(counts(CIFAR10[:2]), CIFAR10[:2]),
    "scores of many": lambda: classification.class_scores(counts(MANY), MANY),
    "reliability": lambda: classification.reliability(*confidence_and_correct(*probabilities())),
    "sheet of digits": lambda: sheet(DIGITS, 30),
    "sheet of names": lambda: sheet(CIFAR10, 30),
    "sheet of one": lambda: sheet(CIFAR10, 1),
    "weights": lambda: images.weight_images(torch.randn(64, 1, 28, 28)),
    "weights of one": lambda: images.weight_images(torch.randn(1, 1, 28, 28), ["automobile"]),
    "weights of digits": lambda: images.weight_images(torch.randn(10, 1, 28, 28), DIGITS),
    "weights of names": lambda: images.weight_images(torch.randn(10, 3, 32, 32), CIFAR10),
    "maps": lambda: images.feature_maps(
        pixels(1, 28, 28), [("convolution 1: 6 maps", pixels(6, 28, 28)), ("2", pixels(16, 10, 10))]
    ),
    "line": lambda: regression.line_fit(*points(), torch.randn(3, 40)),
    "surface": lambda: surface(2),
    "parabola": lambda: surface(1),
    "predicted": lambda: regression.predicted_vs_true(*outputs(1)),
    "large": lambda: regression.predicted_vs_true(*(12345 * part for part in outputs(1))),
    "residuals": lambda: regression.residuals(*outputs(3)),
    "curves": of_a_training,
    "rate": lambda: training.learning_rate(*series(0.00012, 0.00034, 0.00001)),
    "gradients": lambda: training.gradients(by_layer("gradient", 5)),
    "gradients of many": lambda: training.gradients(by_layer("gradient", 14)),
    "units": lambda: training.units(by_layer("saturated sigmoid", 3)),
    "search": lambda: lr_search([1e-5, 1e-3, 1], [2.0, 1.0, 9.0], [2.0, 1.0, 5.0], 1e-3),
    "comparison": lambda: overlaid_curves(
        [Curve(f"mnist_relu_mlp lr=0.0{i}", [1, 2], [[i, i + 1]]) for i in range(9)], "val/loss"
    ),
    "stress": lambda: stress.accuracies(panels(5), 0.1),
    "stress of one": lambda: stress.accuracies(panels(1), 0.1),
    "strengths": strengths,
    "reliabilities": lambda: stress.reliabilities(
        {f"mnist_network_{i}": (BINS, BINS) for i in range(5)}
    ),
    "reliability of one": lambda: stress.reliabilities({"mnist_lenet": (BINS, BINS)}),
    "confidences": lambda: stress.confidences({f"mnist_network_{i}": SURE for i in range(5)}),
}  # fmt: skip


def visible_texts(figure: Figure) -> list[Text]:
    """Return the visible texts, except the slanted tick labels of horizontal axes."""
    upright = [text for axes in figure.axes for text in [*axes.texts, *axes.get_yticklabels()]]
    legends = [figure.legends, *([axes.get_legend()] for axes in figure.axes)]
    found = [text for part in legends for one in part if one for text in one.get_texts()]
    return [t for t in upright + found if t.get_visible() and t.get_text()]


@pytest.mark.parametrize("name", FIGURES)
def test_texts_do_not_overlap_and_stay_within_the_edges(name: str) -> None:
    figure = FIGURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox(canvas.get_renderer())
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    texts = visible_texts(figure)
    boxes = [text.get_window_extent().shrunk(0.98, 0.98) for text in texts]
    overlapping = [
        (texts[i].get_text(), texts[j].get_text())
        for i, one in enumerate(boxes)
        for j, other in enumerate(boxes[:i])
        if one.overlaps(other)
    ]
    assert not overlapping


@pytest.mark.parametrize("names", [DIGITS, CIFAR10, CIFAR10[:2]])
def test_numbers_beside_bars_are_within_the_axes(names: list[str]) -> None:
    figure = classification.confused_pairs(counts(names), names)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    assert all(text.get_window_extent().x1 < axes.bbox.x1 for text in axes.texts)


@pytest.mark.parametrize(
    "draw",
    [classification.confusion_matrix, classification.confused_pairs, classification.class_scores],
)
def test_class_names_with_dollars_are_not_formulas(draw: Callable[..., Figure]) -> None:
    names = ["US$ and A$", "x$y^{$"]  # matplotlib cannot parse the second
    figure = draw(counts(names), names)
    FigureCanvasAgg(figure).draw()
    assert not any(label.get_parse_math() for label in figure.axes[0].get_yticklabels())


def test_captions_with_dollars_are_not_formulas() -> None:
    names = ["US$ and A$", "x$y^{$"]
    for figure in (sheet(names, 2), images.weight_images(torch.randn(2, 1, 5, 5), names)):
        FigureCanvasAgg(figure).draw()
        assert not any(text.get_parse_math() for text in figure.axes[0].texts)
