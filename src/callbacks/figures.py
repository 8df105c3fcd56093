"""When and where pictures are made: from the first process, into the run folder and TensorBoard."""

import gc
from pathlib import Path
from typing import Any

import torch.distributed
from jsonargparse.typing import PositiveInt
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.figure import Figure
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor

from src.callbacks.pictures import Drawings, Picture, Seen, of_line, of_result, of_training
from src.curves import Points, read_curves
from src.files import write_whole
from src.plots.style import DPI, png


class Figures(Callback):
    """Draws what was learned and where it fails, at the end of fit and test.

    Pictures go into `figures/` of the run folder and to TensorBoard, whose logger they need. Those
    that make no sense for a run, such as the confusion matrix of a regression, are left out.

    Args:
        only: Draw these and no others; `[]` draws none. By default all that make sense.
        drop: Draw all but these.
        every_n_epochs: Draw those of the result also while training, from the validation set, into
            `figures/epochN/`, in the validations after each so many epochs; never by default.
    """

    def __init__(
        self,
        only: list[Picture] | None = None,
        drop: list[Picture] = [],  # noqa: B006  (the command line shows it)
        every_n_epochs: PositiveInt | None = None,
    ) -> None:
        self.only, self.drop, self.every = only, drop, every_n_epochs
        self.outputs: list[Tensor] = []
        self.targets: list[Tensor] = []
        self.curves: dict[str, Points] = {}  # of the training, if there was one

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.outputs, self.targets = [], []

    on_test_start = on_validation_start

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._due(trainer) and isinstance(outputs, Tensor):
            self.outputs.append(outputs.float().cpu())
            self.targets.append(batch[1].cpu())

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._due(trainer) and (seen := self._seen(trainer, pl_module, "val")):
            self._publish(trainer, of_result(seen), "val", f"epoch{trainer.current_epoch + 1:02d}/")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Draw the training when its times have been taken, whether a test follows or not."""
        if stage != "fit" or self.only == []:
            return
        path = Path(str(trainer.log_dir), "curves.csv")  # on every process: the first tells it
        if not path.exists():
            return
        self.curves = read_curves(path.read_text())
        classes, loss = trainer.datamodule.num_classes, pl_module.hparams.get("loss")
        drawings = of_training(self.curves, classes, loss, trainer.checkpoint_callback)
        self._publish(trainer, drawings, "train")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._due(trainer) and (seen := self._seen(trainer, pl_module, "test")):
            self._publish(trainer, of_result(seen) | of_line(seen, self.curves), "test")

    def _due(self, trainer: Trainer) -> bool:
        """Return whether this test, or this validation, is one to draw."""
        if trainer.testing:
            return self.only != []
        training = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        return bool(self.every and training and (trainer.current_epoch + 1) % self.every == 0)

    def _seen(self, trainer: Trainer, model: LightningModule, split: str) -> Seen | None:
        """Return what the model said of a split, on the first process, if it said anything."""
        if not self.outputs:
            return None
        output, y = (whole(trainer, torch.cat(kept)) for kept in (self.outputs, self.targets))
        self.outputs, self.targets = [], []
        return Seen(model, trainer.datamodule, split, output, y) if trainer.is_global_zero else None

    def _publish(self, trainer: Trainer, drawings: Drawings, stage: str, place: str = "") -> None:
        logger = trainer.logger
        if not isinstance(logger, TensorBoardLogger) or not trainer.is_global_zero:
            return
        for name, draw in drawings.items():
            if name in self.drop or (self.only is not None and name not in self.only):
                continue
            try:
                figure = draw()
                publish(logger, figure, f"{stage}/{name}", f"{place}{name}", trainer.global_step)
                del figure
                gc.collect()  # it refers to itself, and holds megabytes of pixels
            except Exception as error:  # a picture is not worth the results of a run
                rank_zero_warn(f"The picture {name} could not be drawn: {error!r}")


def whole(trainer: Trainer, share: Tensor) -> Tensor:
    """Return the examples of all processes in the order of the split, as the loader deals them."""
    if trainer.world_size == 1:
        return share
    shares: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(shares, share)
    places = [rank + trainer.world_size * torch.arange(len(s)) for rank, s in enumerate(shares)]
    return torch.cat(shares)[torch.cat(places).argsort()]


def publish(logger: TensorBoardLogger, figure: Figure, tag: str, name: str, step: int) -> None:
    """Write a picture as PNG into the run folder and, drawn once, to TensorBoard."""
    content = png(figure)
    write_whole(Path(logger.log_dir, "figures", f"{name}.png"), content)
    width, height = (int(inches * DPI) for inches in figure.get_size_inches())
    image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=content)
    summary = Summary(value=[Summary.Value(tag=tag, image=image)])
    logger.experiment._get_file_writer().add_summary(summary, step)
