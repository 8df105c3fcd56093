"""Shows the predictions for own images: a table, and pictures of the network's input."""

from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from src.callbacks.figures import publish, whole
from src.inference.predictions import is_doubtful, remark
from src.plots.probabilities import image_probabilities
from src.training.run_trainer import run_folder

LISTED = 20  # images in the table; the CSV has all
PAGE, PAGES = 24, 10  # images per picture, and number of pictures


class OwnImagesReport(Callback):
    """Prints the predictions for own images, and draws the images as the network gets them.

    The pictures `figures/own_images_01.png` and so on show the first 240 images.
    """

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.images: list[Tensor] = []
        self.probabilities: list[Tensor] = []

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: tuple[Tensor, Tensor],
        batch: tuple[Tensor, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.datamodule.file_names is not None:
            self.probabilities.append(outputs[0].float().cpu())
            if sum(map(len, self.images)) < PAGE * PAGES:
                self.images.append(trainer.datamodule.denormalise(batch[0]).cpu())

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print and draw after the progress bar is closed."""
        if stage != "predict" or not self.probabilities:
            return
        probabilities = whole(trainer, torch.cat(self.probabilities))
        images = whole(trainer, torch.cat(self.images))[: PAGE * PAGES]
        if trainer.is_global_zero:
            data = trainer.datamodule
            likely = probabilities.amax(dim=1).tolist()
            data.doubtful = [*compress(data.file_names, (is_doubtful(data, one) for one in likely))]
            Console().print(table(data, probabilities))
            draw(trainer, images, probabilities)


def table(data: Any, probabilities: Tensor) -> Table:
    """Return a table of the first images, each with its two most probable classes."""
    found = Table("file", "prediction", "probability", "second best", title="Your images")
    found.columns[0].overflow = "fold"
    if data.trusted_from:
        found.add_column("remark")
    for name, likely in zip(data.file_names[:LISTED], probabilities[:LISTED], strict=True):
        first, *others = _likeliest(data, likely)
        words = [name, *first, *(" ".join(other) for other in others)]
        if data.trusted_from:
            words.append(remark(data, likely.max().item()))
        found.add_row(*map(Text, words))  # file names may look like markup
    if len(probabilities) > LISTED:
        found.caption = f"and {len(probabilities) - LISTED:,} more in predictions.csv"
    return found


def draw(trainer: Trainer, images: Tensor, probabilities: Tensor) -> None:
    """Draw the images into the run folder, if there is one, 24 per picture."""
    data, folder = trainer.datamodule, run_folder(trainer)
    if folder is None:
        return
    for number, page in enumerate(torch.arange(len(images)).split(PAGE), start=1):
        captions = [caption(data, probabilities, i) for i in page.tolist()]
        names, name = data.class_names, f"own_images_{number:02}"
        figure = image_probabilities(images[page], probabilities[page], names, captions)
        publish(trainer, figure, f"predict/{name}", name, step=0)
    print(f"The images as the network gets them: {folder}/figures/own_images_*.png")


def caption(data: Any, probabilities: Tensor, index: int) -> str:
    """Return the end of the file name, the predicted class and its probability."""
    best, likely = next(_likeliest(data, probabilities[index]))
    name = Path(data.file_names[index]).name
    return f"{name if len(name) <= 20 else f'…{name[-19:]}'}: {best}, {likely}"


def _likeliest(data: Any, likely: Tensor) -> Iterator[tuple[str, str]]:
    values, places = likely.topk(min(2, len(likely)))
    for value, place in zip(values.tolist(), places.tolist(), strict=True):
        yield data.class_names[place], f"{100 * value:.1f} %"
