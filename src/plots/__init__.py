"""Plots: functions from tensors to a matplotlib Figure, without Lightning or file access.

It imports nothing of this project but its own modules; every package but data may import it.
"""

from src.plots.classification import (
    class_scores,
    confused_pairs,
    confusion,
    confusion_matrix,
    reliability,
)
from src.plots.images import feature_maps, image_sheet, weight_images
from src.plots.probabilities import image_probabilities
from src.plots.regression import line_fit, loss_surface, predicted_vs_true, residuals
from src.plots.training import Series, curves, gradients, learning_rate, units

__all__ = [
    "Series", "class_scores", "confused_pairs", "confusion", "confusion_matrix", "curves",
    "feature_maps", "gradients", "image_probabilities", "image_sheet", "learning_rate",
    "line_fit", "loss_surface", "predicted_vs_true", "reliability", "residuals", "units",
    "weight_images",
]  # fmt: skip
