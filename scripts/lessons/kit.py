"""What every lesson uses: a value beside the expected one, and a picture."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from matplotlib.figure import Figure
from PIL import Image

from src.files import write_whole
from src.plots.style import png

PICTURES = Path(__file__).resolve().parents[2] / "lightning_logs" / "lessons"


def check(what: str, found: Any, expected: Any, within: float = 1e-6) -> None:
    """Print a value beside the expected one, and stop if they differ.

    Args:
        what: Name or formula of the value.
        found: What the code gives: a number, a tensor or an array.
        expected: What it should be.
        within: Largest difference that is rounding, absolute and relative.
    """
    one, other = (torch.as_tensor(value).detach().double() for value in (found, expected))
    torch.testing.assert_close(
        one, other, rtol=within, atol=within, msg=f"{what}: {one}, not {other}"
    )
    print(f"{what:<44} {_shown(one)}   expected {_shown(other)}")


def heading(text: str) -> None:
    """Print a heading where the lesson runs as a script; a notebook shows that of its text."""
    if not _notebook():
        print(f"\n{text}\n{'-' * len(text)}")


def refuses(what: str, slip: Callable[[], Any]) -> None:
    """Print the error that a slip raises, and stop if it raises none."""
    try:
        slip()
    except (RuntimeError, TypeError) as error:
        first = str(error).splitlines()[0].partition(". ")[0]
        print(f"{what:<44} refused: {shorten(first, 80, placeholder=' ...')}")
    else:
        raise AssertionError(f"{what} went through, and should not have")


def show(figure: Figure, name: str) -> Path:
    """Write a picture to lightning_logs/lessons/NAME.png; in a notebook, show it, too."""
    path = PICTURES / f"{name}.png"
    write_whole(path, png(figure))
    return _tell(path)


def show_moving(
    figure: Figure, draw: Callable[[int], Any], frames: int, name: str, milliseconds: int = 100
) -> Path:
    """Write a moving picture to lightning_logs/lessons/NAME.gif; in a notebook, show it, too.

    Args:
        figure: The picture as it is before the first frame.
        draw: Changes the picture to a frame, counted from 0.
        frames: How many frames there are.
        name: Of the file.
        milliseconds: How long a frame stays; the last one stays two seconds.
    """
    images = []
    for number in range(frames):
        draw(number)
        images.append(Image.open(BytesIO(png(figure))).convert("RGB"))
        figure.set_layout_engine("none")  # the first frame's stays: faster, and nothing jumps
    # One palette for all frames, or colours would flicker.
    palette = images[-1].quantize(256, Image.Quantize.MAXCOVERAGE)
    first, *others = (image.quantize(palette=palette, dither=0) for image in images)
    stay = [milliseconds] * (frames - 1) + [2000]
    file = BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=stay, loop=0)
    path = PICTURES / f"{name}.gif"
    write_whole(path, file.getvalue())
    return _tell(path)


def _tell(path: Path) -> Path:
    """Name a picture, and show it where a notebook runs the lesson."""
    print(f"picture: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    if _notebook():
        from IPython import display

        display.display(display.Image(filename=str(path)))
    return path


def _notebook() -> bool:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None


def _shown(value: torch.Tensor) -> str:
    if value.numel() > 12:
        return f"[{_shown(value.flatten()[0])}, ... {value.numel()} values]"
    if value.dim():
        return f"[{', '.join(_shown(part) for part in value)}]"
    return f"{value.item():.6g}"
