"""Colours that the colour-blind can tell apart, and the frame of every picture."""

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008.
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
SKY, YELLOW, PINK, BLACK = "#56b4e9", "#e69f00", "#cc79a7", "#000000"
CYCLE = [BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK]

DPI = 100


def frame(width: float, height: float, **subplots: Any) -> tuple[Figure, Any]:
    """Return a figure of so many inches and its axes, one or as `subplots` says."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(**subplots)


def png(figure: Figure, **options: Any) -> bytes:
    """Return a picture as the content of a PNG file; options are those of `savefig`."""
    file = BytesIO()
    figure.savefig(file, dpi=DPI, **options)
    return file.getvalue()
