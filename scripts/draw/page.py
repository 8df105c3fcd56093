"""Builds the drawing page: its layout and its event handlers."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

# isort: split
import gradio as gr
from PIL import Image

from scripts.draw.answers import answer, as_url, from_url, opened
from scripts.draw.samples import samples
from scripts.draw.views import view
from scripts.shared.trained import Trained
from src.data.digit_strokes import NotOneDigit
from src.errors import UserError

HERE = Path(__file__).parent
PAD = '<canvas width="392" height="392" role="img" aria-label="Drawing pad"></canvas>'
PICK = """element.addEventListener("click", (event) => {
  const tile = event.target.closest("button");
  if (tile) trigger("click", { index: Number(tile.dataset.index) });
});"""


class Page:
    """The event handlers of the page, for one run or two side by side.

    They return the image on the pad, a message, and the HTML of each run.
    """

    def __init__(self, runs: Sequence[Trained]) -> None:
        self.runs, self.samples = runs, samples(runs[0].data)

    def drawn(self, url: str) -> list[Any]:
        """Handle a change of the drawing; the pad itself is not updated."""
        return self.show(from_url(url))[1:]

    def uploaded(self, content: bytes) -> list[Any]:
        """Handle an uploaded file; on an error, show it and leave everything else unchanged."""
        try:
            return self.show(opened(content))
        except UserError as error:
            return [gr.skip(), escape(str(error)), *[gr.skip()] * len(self.runs)]

    def picked(self, event: gr.EventData) -> list[Any]:
        """Handle a click on a sample image."""
        return self.show(self.samples[event.index][1])

    def show(self, image: Image.Image | None = None) -> list[Any]:
        """Return the content of the page for an image, or for an empty pad."""
        try:
            answers = [answer(run, image) for run in self.runs]
            message = self._blank() if image is not None and answers[0] is None else ""
        except NotOneDigit as error:
            answers = [None] * len(self.runs)
            message = f"{error}: the network reads a single one."
        return [as_url(image) if image else "", message, *map(view, self.runs, answers)]

    def _blank(self) -> str:
        what = "No digit found" if self.runs[0].data.trusted_from else "This image is blank"
        return f"{what}: nothing stands out from its background."


def build(page: Page) -> gr.Blocks:
    """Lay out the page and connect its event handlers."""
    with gr.Blocks(title="linenet: draw", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(header(page.runs[0]), elem_id="head")
        with gr.Row(elem_id="desk"):
            with gr.Column(elem_id="controls"):
                pad, upload, clear, message, tiles = controls(page)
            with gr.Row(elem_id="sides", elem_classes="alone" * (len(page.runs) == 1)):
                sides = [gr.HTML(view(run, None)) for run in page.runs]
        unqueued: Any = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        everything = {"outputs": [pad, message, *sides], **unqueued}
        # While a prediction runs, only the newest drawing waits; earlier ones are skipped.
        pad.input(page.drawn, pad, [message, *sides], trigger_mode="always_last", **unqueued)
        upload.upload(page.uploaded, upload, **everything)
        clear.click(page.show, None, **everything)
        tiles.click(page.picked, None, **everything)
    return blocks


def header(run: Trained) -> str:
    what = "a digit" if run.data.class_names == [*map(str, range(10))] else "something"
    return f"<h1>Draw {what}</h1><p>The network answers while you draw.</p>"


def controls(page: Page) -> list[Any]:
    """Return the input elements: pad, upload button, clear button, message, sample images."""
    script = (HERE / "pad.js").read_text(encoding="utf-8")
    pad = gr.HTML("", html_template=PAD, js_on_load=script, elem_id="pad")
    with gr.Row(elem_id="buttons"):
        small: Any = {"size": "sm", "min_width": 80}
        upload = gr.UploadButton("Open an image", type="binary", file_types=["image"], **small)
        clear = gr.Button("Clear", **small)
    message = gr.HTML("", elem_id="message")
    shown = bool(page.samples)
    tiles = gr.HTML(sample_tiles(page), js_on_load=PICK, elem_id="samples", visible=shown)
    return [pad, upload, clear, message, tiles]


def sample_tiles(page: Page) -> str:
    tiles = (
        f'<button data-index="{i}" title="{escape(name)}">'
        f'<img src="{as_url(image)}" alt="Test image: {escape(name)}"></button>'
        for i, (name, image) in enumerate(page.samples)
    )
    name = str(page.runs[0].data.name)  # differs if scikit-learn's digits replaced MNIST
    what = f"these images ({escape(name)})" if "NOT" in name else "the test images"
    words = f'<p class="quiet">Or take one of {what}:</p>'
    return f'{words}<div class="tiles">{"".join(tiles)}</div>'
