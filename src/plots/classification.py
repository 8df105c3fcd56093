"""What a classifier gets right and wrong."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import frame


def confusion_matrix(counts: Tensor, class_names: Sequence[str]) -> Figure:
    """Draw how often each true class (row) was predicted as each class (column).

    Args:
        counts: Number of examples, int64 `(classes, classes)`; the shade is the share of the row.
        class_names: Names of the classes, in order. Beyond 30, numbers and names are left out.
    """
    n = len(class_names)
    side = 1.5 + 0.5 * min(n, 30)
    share = (counts / counts.sum(dim=1, keepdim=True).clamp(min=1)).numpy()
    figure, axes = frame(side + 1, side)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if n <= 30:
        axes.set_xticks(range(n), class_names, rotation=45 if max(map(len, class_names)) > 2 else 0)
        axes.set_yticks(range(n), class_names)
        for (row, column), count in np.ndenumerate(counts.numpy()):
            colour = "white" if share[row, column] > 0.5 else "black"
            text = str(count or "")
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    figure.colorbar(image, label="share of the true class")
    return figure
