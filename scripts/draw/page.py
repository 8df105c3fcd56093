"""The page with the drawing pad: where things stand, and what answers to what."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # asked for as Gradio is imported

# isort: split
import gradio as gr
from PIL import Image

from scripts.draw.answers import answer, as_url, from_url, opened
from scripts.draw.samples import samples
from scripts.draw.views import view
from scripts.shared.trained import Trained
from src.errors import UserError

HERE = Path(__file__).parent
PAD = '<canvas width="392" height="392" role="img" aria-label="Drawing pad"></canvas>'
PICK = """element.addEventListener("click", (event) => {
  const tile = event.target.closest("button");
  if (tile) trigger("click", { index: Number(tile.dataset.index) });
});"""


class Page:
    """What the page answers with, of one run or of two side by side.

    Each answer is what stands on the pad, a line of words, and the part that belongs to each run.
    """

    def __init__(self, runs: Sequence[Trained]) -> None:
        self.runs, self.samples = runs, samples(runs[0].data)

    def drawn(self, url: str) -> list[Any]:
        """Answer to what the pad holds, which stays."""
        return self.show(from_url(url))[1:]

    def uploaded(self, content: bytes) -> list[Any]:
        """Answer to a file, or say what is wrong with it and leave the rest as it is."""
        try:
            return self.show(opened(content))
        except UserError as error:
            return [gr.skip(), escape(str(error)), *[gr.skip()] * len(self.runs)]

    def picked(self, event: gr.EventData) -> list[Any]:
        """Answer to a sample image."""
        return self.show(self.samples[event.index][1])

    def show(self, image: Image.Image | None = None) -> list[Any]:
        """Answer to an image, or to an empty pad."""
        answers = [answer(run, image) for run in self.runs]
        blank = image is not None and answers[0] is None
        words = "Nothing stands out from the ground of this image." if blank else ""
        views = map(view, self.runs, answers)
        return [as_url(image) if image else "", words, *views]


def build(page: Page) -> gr.Blocks:
    """Lay the page out."""
    with gr.Blocks(title="linenet: draw", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(header(page.runs[0]), elem_id="head")
        with gr.Row(elem_id="desk"):
            with gr.Column(elem_id="hand"):
                pad, upload, clear, message, tiles = hand(page)
            with gr.Row(elem_id="sides", elem_classes="alone" * (len(page.runs) == 1)):
                sides = [gr.HTML(view(run, None)) for run in page.runs]
        at_once: Any = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        whole = {"outputs": [pad, message, *sides], **at_once}
        # While an answer is under way, the newest drawing waits, and those between are passed over.
        pad.input(page.drawn, pad, [message, *sides], trigger_mode="always_last", **at_once)
        upload.upload(page.uploaded, upload, **whole)
        clear.click(page.show, None, **whole)
        tiles.click(page.picked, None, **whole)
    return blocks


def header(run: Trained) -> str:
    what = "a digit" if run.data.class_names == [*map(str, range(10))] else "something"
    return f"<h1>Draw {what}</h1><p>The network answers while you draw.</p>"


def hand(page: Page) -> list[Any]:
    """Return what the user takes in hand: pad, upload, clear, a line of words, sample images."""
    script = (HERE / "pad.js").read_text()
    pad = gr.HTML("", html_template=PAD, js_on_load=script, elem_id="pad")
    with gr.Row(elem_id="buttons"):
        small: Any = {"size": "sm", "min_width": 80}
        upload = gr.UploadButton("Open an image", type="binary", file_types=["image"], **small)
        clear = gr.Button("Clear", **small)
    message = gr.HTML("", elem_id="message")
    tiles = gr.HTML(tiled(page), js_on_load=PICK, elem_id="samples", visible=bool(page.samples))
    return [pad, upload, clear, message, tiles]


def tiled(page: Page) -> str:
    tiles = (
        f'<button data-index="{i}" title="{escape(name)}">'
        f'<img src="{as_url(image)}" alt="Test image: {escape(name)}"></button>'
        for i, (name, image) in enumerate(page.samples)
    )
    name = str(page.runs[0].data.name)  # changes where other digits stand in for MNIST
    what = f"these images ({escape(name)})" if "NOT" in name else "the test images"
    words = f'<p class="quiet">Or take one of {what}:</p>'
    return f'{words}<div class="tiles">{"".join(tiles)}</div>'
