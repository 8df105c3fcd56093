"""Picture of lesson 4: the boundary between two spirals at several steps."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from src.plots.style import BLACK, BLUE, ORANGE, frame


def boundaries(
    X: np.ndarray, y: np.ndarray, ends: np.ndarray, maps: dict[str, np.ndarray]
) -> Figure:
    """Draw the points on maps of the probability of the second class.

    Args:
        X: Points `(n, 2)`.
        y: Class of each point `(n,)`, 0 or 1.
        ends: Both coordinates of the maps.
        maps: Probability at each place, by the title of the map.
    """
    figure, panels = frame(11, 4.5, ncols=len(maps), sharey=True)
    colors = LinearSegmentedColormap.from_list("classes", [BLUE, "white", ORANGE])
    area = (ends[0], ends[-1], ends[0], ends[-1])
    for axes, (title, p) in zip(panels, maps.items(), strict=True):
        axes.imshow(p, colors, origin="lower", extent=area, vmin=0, vmax=1, alpha=0.6)
        axes.contour(ends, ends, p, [0.5], colors=BLACK)
        for label, color in enumerate((BLUE, ORANGE)):
            axes.scatter(*X[y == label].T, s=14, color=color, edgecolors="white", linewidths=0.4)
        axes.set(xlabel="first input", title=title)
    panels[0].set(ylabel="second input")
    figure.suptitle("The boundary (black) winds around the spirals")
    return figure
