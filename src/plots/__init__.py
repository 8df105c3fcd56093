"""Pictures: tensors in, matplotlib Figure out; no Lightning, no files."""

from src.plots.classification import confusion_matrix
from src.plots.regression import line_fit

__all__ = ["confusion_matrix", "line_fit"]
