"""Renders a prediction as HTML: bars, network input, occlusion map."""

from html import escape

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scripts.draw.answers import Answer, as_url
from scripts.shared.trained import Trained
from src.plots.style import BLUE, ORANGE

MAX_BARS = 10  # more classes do not fit
MIN_SCALE = 0.05  # if probabilities fall by less than this, the occlusion map stays faint


def view(run: Trained, found: Answer | None) -> str:
    """Return the page's section of a run."""
    body = hint(run) if found is None else f"{bars(run, found)}{looks(run, found)}"
    return f'<section class="run"><h2>{title(run)}</h2><div class="answer">{body}</div></section>'


def title(run: Trained) -> str:
    config, _, version = run.name.partition("/")
    accuracy = run.results.get("metrics", {}).get("test/acc")  # None if stopped before its test
    score = "" if accuracy is None else f" · test accuracy {100 * accuracy:.2f} %"
    return f"{escape(config)} <small>{escape(version)}{score}</small>"


def hint(run: Trained) -> str:
    classes = " · ".join(escape(name) for name in run.data.class_names[:MAX_BARS])
    more = " …" if len(run.data.class_names) > MAX_BARS else ""
    return f'<p class="hint">Nothing drawn yet. The classes are<br>{classes}{more}</p>'


def bars(run: Trained, found: Answer) -> str:
    """Return a bar for each class, or for the most probable ones if there are many."""
    shares, best = found.probabilities, int(found.probabilities.argmax())
    many = len(shares) > MAX_BARS
    order = shares.topk(MAX_BARS).indices.tolist() if many else range(len(shares))
    names = [run.data.class_names[i] for i in order]
    widest = min(max(map(len, names)), 12)
    rows = (bar(name, float(shares[i]), i == best) for name, i in zip(names, order, strict=True))
    style = f"--widest: {widest}"
    return f'<ol class="bars" aria-label="Probabilities" style="{style}">{"".join(rows)}</ol>'


def bar(name: str, share: float, best: bool) -> str:
    return (
        f'<li class="{"best" if best else "other"}"><span class="name">{escape(name)}</span>'
        f'<span class="track"><span class="bar" style="width: {100 * share:.1f}%"></span></span>'
        f'<span class="share">{100 * share:.1f} %</span></li>'
    )


def looks(run: Trained, found: Answer) -> str:
    """Return the image as the network sees it, and its occlusion map."""
    rows, columns = found.seen.shape[1:]
    name = escape(run.data.class_names[int(found.probabilities.argmax())])
    most = max(float(found.fall.max()), 0)
    seen = f"Network input: {columns}x{rows} pixels"
    where = (
        f"Occlusion map: evidence <b>for {name}</b> and <i>against</i>."
        f" Hiding the most important patch costs {100 * most:.0f} points."
    )
    pictures = (picture(pixels(found.seen), seen), picture(coloured(found), where))
    return f'<div class="looks">{"".join(pictures)}</div>'


def picture(values: NDArray[np.uint8], caption: str) -> str:
    title = caption.partition(":")[0]
    url = as_url(Image.fromarray(values))
    return (
        f'<figure><img src="{url}" alt="{title}" draggable="false">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def pixels(image: Tensor) -> NDArray[np.uint8]:
    """Return uint8 `(1 or 3, rows, columns)` as `(rows, columns, 3)`."""
    return image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()


def coloured(found: Answer) -> NDArray[np.uint8]:
    """Colour the grey image orange where hiding lowers the probability, blue where it raises it."""
    strength = found.fall / found.fall.abs().max().clamp(min=MIN_SCALE)
    toned = torch.from_numpy(np.where(strength[..., None] > 0, rgb(ORANGE), rgb(BLUE)))
    share = 0.8 * strength.abs()[..., None]
    grey = found.seen.float().mean(dim=0)[..., None]  # so that the colours stand out
    mixed = (1 - share) * grey + share * toned
    return mixed.round().to(torch.uint8).numpy()


def rgb(colour: str) -> NDArray[np.float32]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)
