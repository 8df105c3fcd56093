"""Fills TensorBoard's HPARAMS tab with settings and final metrics."""

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.tensorboard.summary import hparams as summarise

from src.runs.settings import flat
from src.training.internals import write_summary


class HParams(Callback):
    """Writes the settings of model and data to the HPARAMS tab, and the names of its metrics.

    The tab takes the values from the curves, the last point of each, so no metric is logged twice.
    """

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.names = [name for name in trainer.callback_metrics if name.startswith("val/")]

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and self.names:
            tested = [name for name in trainer.callback_metrics if name.startswith("test/")]
            all_settings = flat({**pl_module.hparams, **trainer.datamodule.hparams})
            settings = {name: v for name, v in all_settings.items() if v is not None}
            metrics = dict.fromkeys([*tested, *self.names], 0.0)
            for part in summarise(settings, metrics):
                write_summary(trainer, part)
