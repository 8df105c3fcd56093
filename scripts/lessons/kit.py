"""Helpers of the lessons: print a value beside the expected one, and write pictures."""

from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from matplotlib.figure import Figure
from PIL import Image

from src.files import write_whole
from src.places import INSTALLED
from src.places import PROJECT as CLONE
from src.plots.style import png

PROJECT = Path.cwd() if INSTALLED else CLONE
PICTURES = PROJECT / "lightning_logs" / "lessons"


def check(what: str, found: Any, expected: Any, within: float = 1e-6) -> None:
    """Print a value beside the expected one, and stop if they differ.

    Args:
        what: Name or formula of the value.
        found: The computed value: a number, a tensor or an array.
        expected: The expected value.
        within: Absolute and relative tolerance.
    """
    one, other = (torch.as_tensor(value).detach().double() for value in (found, expected))
    torch.testing.assert_close(
        one, other, rtol=within, atol=within, msg=f"{what}: {one}, not {other}"
    )
    print(f"{what:<44} {_shown(one)}   expected {_shown(other)}")


def heading(text: str) -> None:
    """Print a heading if the lesson runs as a script; a notebook shows the one in its text."""
    if not _notebook():
        print(f"\n{text}\n{'-' * len(text)}")


def refuses(what: str, mistake: Callable[[], Any]) -> None:
    """Print the error that a mistake raises, and stop if it raises none."""
    try:
        mistake()
    except (RuntimeError, TypeError) as error:
        first = str(error).splitlines()[0].partition(". ")[0]
        print(f"{what:<44} refused: {shorten(first, 80, placeholder=' ...')}")
    else:
        raise AssertionError(f"{what}: expected an error, but there was none")


def show(figure: Figure, name: str) -> None:
    """Write a figure to lightning_logs/lessons/NAME.png; in a notebook, also show it."""
    path = PICTURES / f"{name}.png"
    write_whole(path, png(figure))
    _display(path)


def show_moving(
    figure: Figure, draw: Callable[[int], Any], frames: int, name: str, milliseconds: int = 100
) -> None:
    """Write an animation to lightning_logs/lessons/NAME.gif; in a notebook, also show it.

    Args:
        figure: The figure before the first frame.
        draw: Updates the figure to a frame, counted from 0.
        frames: Number of frames.
        name: Name of the file, without suffix.
        milliseconds: Duration of a frame; the last one is shown for two seconds.
    """
    images = []
    for number in range(frames):
        draw(number)
        images.append(Image.open(BytesIO(png(figure))).convert("RGB"))
        figure.set_layout_engine("none")  # keep the first frame's layout, or axes jump
    # One palette for all frames, so that colours do not flicker.
    palette = images[-1].quantize(256, Image.Quantize.MAXCOVERAGE)
    first, *others = (image.quantize(palette=palette, dither=0) for image in images)
    durations = [milliseconds] * (frames - 1) + [2000]
    file = BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    path = PICTURES / f"{name}.gif"
    write_whole(path, file.getvalue())
    _display(path)


def silenced() -> AbstractContextManager[Any]:
    """Return a context that shows nothing of what is printed, nor of what a notebook displays."""
    if _notebook():
        from IPython.utils.capture import capture_output

        return capture_output()
    return redirect_stdout(StringIO())


def _display(path: Path) -> None:
    """Print the path of a picture; in a notebook, also show it."""
    print(f"picture: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    if _notebook():
        from IPython import display

        content = b64encode(path.read_bytes()).decode()  # as HTML, since some show no other GIF
        image = f'<img alt="{path.stem}" src="data:image/{path.suffix[1:]};base64,{content}">'
        display.display(display.HTML(image))


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
