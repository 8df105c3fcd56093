"""What the page shows of an answer, as HTML: bars, the image seen, and where the network looks."""

from html import escape

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scripts.draw.answers import Answer, as_url
from scripts.shared.trained import Trained
from src.plots.style import BLUE, ORANGE

BARS = 10  # as many classes as there is room for
FAINTEST = 0.05  # a fall of less keeps its colour faint


def view(run: Trained, found: Answer | None) -> str:
    """Return the part of the page that belongs to a run."""
    body = hint(run) if found is None else f"{bars(run, found)}{looks(run, found)}"
    return f'<section class="run"><h2>{title(run)}</h2><div class="answer">{body}</div></section>'


def title(run: Trained) -> str:
    config, _, version = run.name.partition("/")
    accuracy = run.results.get("metrics", {}).get("test/acc")  # none if stopped before its test
    share = "" if accuracy is None else f" · {100 * accuracy:.2f} % of test images right"
    return f"{escape(config)} <small>{escape(version)}{share}</small>"


def hint(run: Trained) -> str:
    classes = " · ".join(escape(name) for name in run.data.class_names[:BARS])
    more = " …" if len(run.data.class_names) > BARS else ""
    return f'<p class="hint">Nothing to see yet. This network knows<br>{classes}{more}</p>'


def bars(run: Trained, found: Answer) -> str:
    """Return a bar for each class, or for the likeliest where there are many."""
    shares, best = found.probabilities, int(found.probabilities.argmax())
    many = len(shares) > BARS
    order = shares.topk(BARS).indices.tolist() if many else range(len(shares))
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
    """Return the image as the network sees it, and coloured by where it looks."""
    rows, columns = found.seen.shape[1:]
    name = escape(run.data.class_names[int(found.probabilities.argmax())])
    most = max(float(found.fall.max()), 0)
    seen = f"What it sees: {columns}x{rows} pixels"
    where = (
        f"Where it looks: <b>for {name}</b> and <i>against</i>."
        f" Hiding what matters most costs {100 * most:.0f} points."
    )
    pictures = (picture(pixels(found.seen), seen), picture(coloured(found), where))
    return f'<div class="looks">{"".join(pictures)}</div>'


def picture(values: NDArray[np.uint8], caption: str) -> str:
    words = caption.partition(":")[0]
    url = as_url(Image.fromarray(values))
    return (
        f'<figure><img src="{url}" alt="{words}" draggable="false">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def pixels(image: Tensor) -> NDArray[np.uint8]:
    """Return uint8 `(1 or 3, rows, columns)` as `(rows, columns, 3)`."""
    return image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()


def coloured(found: Answer) -> NDArray[np.uint8]:
    """Lay orange over the image, in grey, where hiding it costs probability, blue where it adds."""
    strength = found.fall / found.fall.abs().max().clamp(min=FAINTEST)
    toned = torch.from_numpy(np.where(strength[..., None] > 0, rgb(ORANGE), rgb(BLUE)))
    share = 0.8 * strength.abs()[..., None]
    grey = found.seen.float().mean(dim=0)[..., None]  # on which colours can be told
    mixed = (1 - share) * grey + share * toned
    return mixed.round().to(torch.uint8).numpy()


def rgb(colour: str) -> NDArray[np.float32]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)
