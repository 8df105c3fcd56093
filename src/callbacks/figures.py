"""Draws pictures at the end of fit and test, into the run folder and TensorBoard."""

import gc
from pathlib import Path
from typing import Any

import torch.distributed
from jsonargparse.typing import PositiveInt
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.figure import Figure
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor

from src.callbacks.pictures import Drawings, Picture, Seen, of_line, of_result, of_training
from src.files import write_whole
from src.plots.style import DPI, png
from src.runs.curves import Points, read_curves
from src.training.internals import write_summary
from src.training.run_trainer import RunTrainer, run_folder


class Figures(Callback):
    """Draws what was learned and where it fails, at the end of fit and test.

    Pictures go into `figures/` of the run folder, and to TensorBoard if its logger is used. A plain
    Trainer of Lightning has no run folder.
    Those that do not apply to a run, such as the confusion matrix of a regression, are left out.

    Args:
        only: Draw only these; `[]` draws none. By default all that apply.
        drop: Do not draw these.
        every_n_epochs: During training, also draw those of the validation set every N epochs, into
            `figures/epochN/`. By default never.
    """

    def __init__(
        self,
        only: list[Picture] | None = None,
        drop: list[Picture] = [],  # noqa: B006  (--help shows it)
        every_n_epochs: PositiveInt | None = None,
    ) -> None:
        self.only, self.drop, self.every = only, drop, every_n_epochs
        self.outputs: list[Tensor] = []
        self.targets: list[Tensor] = []
        self.curves: dict[str, Points] = {}  # of the training before this test, if any

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
            y = batch[1].cpu()
            self.targets.append(y.float() if y.is_floating_point() else y)  # 16 bits, too

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._due(trainer) and (seen := self._seen(trainer, pl_module, "val")):
            self._publish(trainer, of_result(seen), "val", f"epoch{trainer.current_epoch + 1:02d}/")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Draw the training curves, after the time of fit was measured."""
        if stage != "fit" or self.only == []:
            return
        folder = trainer.log_dir  # on every process: it is broadcast
        path = Path(folder or "", "curves.csv")
        if not folder or not path.exists():
            return
        self.curves = read_curves(path.read_text(encoding="utf-8"))
        classes, loss = trainer.datamodule.num_classes, pl_module.hparams.get("loss")
        drawings = of_training(self.curves, classes, loss, trainer.checkpoint_callback)
        self._publish(trainer, drawings, "train")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._due(trainer) and (seen := self._seen(trainer, pl_module, "test")):
            self._publish(trainer, of_result(seen) | of_line(seen, self.curves), "test")

    def _due(self, trainer: Trainer) -> bool:
        """Return whether to draw pictures of this test or validation."""
        if trainer.testing:
            return self.only != []
        training = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        return bool(self.every and training and (trainer.current_epoch + 1) % self.every == 0)

    def _seen(self, trainer: Trainer, model: LightningModule, split: str) -> Seen | None:
        """Return the outputs of the model for a split, on the first process only."""
        if not self.outputs:
            return None
        output, y = (whole(trainer, torch.cat(kept)) for kept in (self.outputs, self.targets))
        self.outputs, self.targets = [], []
        return Seen(model, trainer.datamodule, split, output, y) if trainer.is_global_zero else None

    def _publish(self, trainer: Trainer, drawings: Drawings, stage: str, place: str = "") -> None:
        no_files = isinstance(trainer, RunTrainer) and trainer.run_folder is None
        if no_files or not trainer.is_global_zero:
            return
        for name, draw in drawings.items():
            if name in self.drop or (self.only is not None and name not in self.only):
                continue
            try:
                figure = draw()
                publish(trainer, figure, f"{stage}/{name}", f"{place}{name}", trainer.global_step)
                del figure
                gc.collect()  # a figure is a reference cycle that holds megabytes of pixels
            except Exception as error:  # a failed picture must not cost the results of the run
                rank_zero_warn(f"The picture {name} could not be drawn: {error!r}")


def whole(trainer: Trainer, share: Tensor) -> Tensor:
    """Gather the samples of all processes, in the order of the split."""
    if trainer.world_size == 1:
        return share
    shares: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(shares, share)
    places = [rank + trainer.world_size * torch.arange(len(s)) for rank, s in enumerate(shares)]
    return torch.cat(shares)[torch.cat(places).argsort()]


def publish(trainer: Trainer, figure: Figure, tag: str, name: str, step: int) -> None:
    """Write a picture as PNG into the run folder, if there is one, and to TensorBoard."""
    content, folder = png(figure), run_folder(trainer)
    if folder:
        write_whole(folder / "figures" / f"{name}.png", content)
    width, height = (int(inches * DPI) for inches in figure.get_size_inches())
    image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=content)
    summary = Summary(value=[Summary.Value(tag=tag, image=image)])
    write_summary(trainer, summary, step)
