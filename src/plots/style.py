"""Style shared by all plots: colour-blind safe colours, new figures and PNG output."""

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

from src.plots.fonts import choose_fonts

# Okabe and Ito, "Color Universal Design", 2008.
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
SKY, YELLOW, PINK, BLACK = "#56b4e9", "#e69f00", "#cc79a7", "#000000"
CYCLE = [BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK]

DPI = 100


def frame(width: float, height: float, **subplots: Any) -> tuple[Figure, Any]:
    """Return a figure with a size in inches, and its axes; pass `subplots` to `Figure.subplots`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(**subplots)


def png(figure: Figure, **options: Any) -> bytes:
    """Return a figure as the bytes of a PNG file; options are those of `savefig`."""
    choose_fonts(figure)
    file = BytesIO()
    figure.savefig(file, dpi=DPI, **options)
    return file.getvalue()
