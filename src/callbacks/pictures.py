"""The pictures that apply to a run, by name; each is drawn only when its function is called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import log, prod
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from src.inference.activations import batch_of, listening
from src.models.linear_regression import least_squares
from src.plots import classification, images, regression, training
from src.runs.curves import Points

Picture = Literal[
    "confusion_matrix", "confused_pairs", "class_scores", "worst_mistakes", "reliability",
    "predictions", "first_layer", "feature_maps", "line_fit", "loss_surface", "predicted_vs_true",
    "residuals", "curves", "learning_rate", "gradients", "units",
]  # fmt: skip
Drawings = dict[str, Callable[[], Figure]]
SHEET = 30  # images on a sheet
MOST = 8  # convolutions whose feature maps are drawn
POINTS = 2000  # samples drawn around a line


@dataclass
class Seen:
    """The outputs of a model for a split.

    Attributes:
        model: The model, with `probabilities(output)` and the network as `net`.
        data: The data module.
        split: Name of the split.
        output: Output for each sample `(n, num_outputs)`.
        y: Targets, classes `(n,)` or values `(n, num_outputs)`.
    """

    model: Any
    data: Any
    split: str
    output: Tensor
    y: Tensor

    @cached_property
    def probabilities(self) -> Tensor:
        return self.model.probabilities(self.output.to(self.model.device)).cpu()

    @cached_property
    def predicted(self) -> Tensor:
        return self.output.argmax(dim=1)

    @cached_property
    def right(self) -> Tensor:
        return self.predicted == self.y

    def chance(self, classes: Tensor) -> Tensor:
        """Return the probability of a given class for each sample."""
        return self.probabilities.gather(1, classes[:, None])[:, 0]

    @cached_property
    def names(self) -> list[str]:
        return self.data.class_names or [str(i) for i in range(self.data.num_classes)]

    def batch(self, samples: Tensor) -> Tensor:
        """Return samples, chosen by position, as the model gets them."""
        return batch_of(self.data, self.split, samples, self.model.device)

    def images(self, samples: Tensor) -> Tensor:
        """Return samples, chosen by position, as images with pixels in [0, 1]."""
        pixels = self.data.denormalise(self.batch(samples)).cpu()
        low, high = pixels.min(), pixels.max()
        if low < 0 or high > 1:  # random numbers in the shape of an image
            pixels = (pixels - low) / (high - low)
        return pixels


def of_result(seen: Seen) -> Drawings:
    """Return the pictures of the outputs of a model for a split, by name."""
    shape = seen.data.input_shape
    is_image = len(shape) == 3 and shape[0] in (1, 3)
    drawings: Drawings = {}
    if seen.data.num_classes:
        names, sure = seen.names, seen.chance(seen.predicted)
        counts = classification.confusion(seen.predicted, seen.y, seen.data.num_classes)
        drawings |= {
            "confusion_matrix": partial(classification.confusion_matrix, counts, names),
            "class_scores": partial(classification.class_scores, counts, names),
            "reliability": partial(classification.reliability, sure, seen.right),
        }
        if is_image:
            drawings["predictions"] = partial(_sheet, seen, "a sample", _some)
        if not seen.right.all():
            drawings["confused_pairs"] = partial(classification.confused_pairs, counts, names)
            if is_image:
                drawings["worst_mistakes"] = partial(_sheet, seen, "worst mistakes", _worst)
    else:
        drawings |= {
            "predicted_vs_true": partial(regression.predicted_vs_true, seen.output, seen.y),
            "residuals": partial(regression.residuals, seen.output, seen.y),
        }
    return drawings | (of_layers(seen) if is_image else {})


def _worst(seen: Seen) -> Tensor:
    """Return the mistakes with the lowest probability of the true class, worst first."""
    order = torch.where(seen.right, torch.inf, seen.chance(seen.y)).argsort(stable=True)
    return order[: min(SHEET, int((~seen.right).sum()))]


def _some(seen: Seen) -> Tensor:
    """Return random samples, the same ones in every run."""
    generator = torch.Generator().manual_seed(0)  # of its own: training draws the same numbers
    return torch.randperm(len(seen.y), generator=generator)[:SHEET]


def _sheet(seen: Seen, what: str, choose: Callable[[Seen], Tensor]) -> Figure:
    chosen, names = choose(seen), seen.names
    title = f"{what} of the {seen.split} set: prediction, probability, true class"
    about = (seen.predicted, seen.chance(seen.predicted), seen.y, seen.right)
    captions = [
        f"{names[p]}  {100 * c:.0f} %" + ("" if right else f"\ntrue: {names[t]}")
        for p, c, t, right in zip(*(part[chosen].tolist() for part in about), strict=True)
    ]
    return images.image_sheet(title, seen.images(chosen), captions, seen.right[chosen].tolist())


def of_layers(seen: Seen) -> Drawings:
    """Return the pictures of a network for images: weights of its first layer, feature maps."""
    modules = list(seen.model.net.modules())
    layers = [module for module in modules if isinstance(module, nn.Linear | nn.Conv2d)]
    convolutions = [module for module in layers if isinstance(module, nn.Conv2d)]
    drawings: Drawings = {}
    if convolutions:
        drawings["feature_maps"] = partial(_feature_maps, seen, convolutions[:MOST])
    if layers:
        weights = layers[0].weight.detach().cpu()
        names = seen.names if len(layers) == 1 and seen.data.num_classes else None
        if weights.dim() == 2 and weights.shape[1] == prod(seen.data.input_shape):
            weights = weights.view(-1, *seen.data.input_shape)
        if weights.dim() == 4:
            drawings["first_layer"] = partial(images.weight_images, weights, names)
    return drawings


def _feature_maps(seen: Seen, convolutions: list[nn.Conv2d]) -> Figure:
    """Draw the feature maps of each convolution for the first sample."""
    maps: list[Tensor] = []
    sample, layers = torch.tensor([0]), {str(i): layer for i, layer in enumerate(convolutions)}
    with listening(layers, lambda _, output: maps.append(output[0].cpu())), torch.no_grad():
        seen.model(seen.batch(sample))
    names = [f"convolution {i}: {len(layer)} maps" for i, layer in enumerate(maps, start=1)]
    return images.feature_maps(seen.images(sample)[0], list(zip(names, maps, strict=True)))


def of_line(seen: Seen, curves: Mapping[str, Points]) -> Drawings:
    """Return the pictures of a line through points, and of the path of its weights."""
    split, model = seen.data.splits.get("train"), seen.model
    shapes = split and (split.x.shape[1:], split.y.shape[1:])
    if seen.data.num_classes or shapes != ((1,), (1,)):
        return {}
    some = split.indices[:: max(1, len(split.indices) // POINTS)]
    x, y = split.x[some], split.y[some]
    paths = [
        torch.tensor(values) for name, (_, values) in curves.items() if name.startswith("line/")
    ]
    if not paths:  # not a line, or one that was trained in another run
        with torch.no_grad():
            line = model(x.to(model.device)).float().cpu()[:, 0]
        return {"line_fit": partial(regression.line_fit, x[:, 0], y[:, 0], line[None])}
    weights = torch.cat([p.detach().float().cpu().flatten() for p in model.parameters()])
    path = torch.cat([torch.stack(paths, dim=1), weights[None]])
    steps = {0, *((len(path) - 1) ** torch.linspace(0, 1, 8)).round().long().tolist()}
    times = path[sorted(steps)]  # closer together at the start, where it changes most
    ones = torch.cat([x, torch.ones_like(x)], dim=1)[:, : path.shape[1]]
    every = split.indices
    best = least_squares(split.x[every], split.y[every], bias=path.shape[1] == 2).flatten()
    return {
        "line_fit": partial(regression.line_fit, x[:, 0], y[:, 0], times @ ones.T),
        "loss_surface": partial(regression.loss_surface, x[:, 0], y[:, 0], path, best),
    }


def of_training(
    curves: Mapping[str, Points], classes: int | None, loss: str | None, saver: Any
) -> Drawings:
    """Return the pictures of the training curves.

    Args:
        curves: Curves by name.
        classes: Number of classes; None in regression.
        loss: Name of the loss.
        saver: The checkpoint callback, which knows the metric that chooses the best epoch, or None.
    """
    guess = log(classes) if classes and loss == "cross_entropy" else None
    tensors = {name: (torch.tensor(e), torch.tensor(v)) for name, (e, v) in curves.items()}
    score = "acc" if classes else "mse"

    def both(metric: str) -> dict[str, training.Series]:
        keys = {stage: f"{stage}/{metric}" for stage in ("train", "val")}
        return {stage: tensors[key] for stage, key in keys.items() if key in tensors}

    def starting(*prefixes: str) -> dict[str, training.Series]:
        return {k.replace("/", " "): v for k, v in tensors.items() if k.startswith(prefixes)}

    drawings: Drawings = {
        "curves": partial(
            training.curves, both("loss"), both(score), score, _best_epoch(tensors, saver),
            curves["start/loss"][1][0] if "start/loss" in curves else None,
            guess,
        )
    }  # fmt: skip
    if "train/lr" in tensors:
        drawings["learning_rate"] = partial(training.learning_rate, *tensors["train/lr"])
    if norms := starting("gradient/"):
        drawings["gradients"] = partial(training.gradients, norms)
    if shares := starting("dead/", "saturated/"):
        drawings["units"] = partial(training.units, shares)
    return drawings


def _best_epoch(tensors: Mapping[str, training.Series], saver: Any) -> float | None:
    """Return the epoch whose checkpoint is best, if a metric chose it."""
    if saver is None or saver.monitor not in tensors:
        return None
    epochs, values = tensors[saver.monitor]
    best = values.argmax() if saver.mode == "max" else values.argmin()
    return float(epochs[best])
