"""TensorBoard's HPARAMS tab: the settings of the run beside the metrics that it really reached."""

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams as summarise

from src.settings import flat


class HParams(Callback):
    """Writes the settings of model and data, and names the metrics whose curves stand beside them.

    No metric is written twice: the tab shows the last point of each curve, and the test metrics.
    """

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.names = [name for name in trainer.callback_metrics if name.startswith("val/")]

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logger = trainer.logger
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero and self.names:
            tested = [name for name in trainer.callback_metrics if name.startswith("test/")]
            all_settings = flat({**pl_module.hparams, **trainer.datamodule.hparams})
            settings = {name: v for name, v in all_settings.items() if v is not None}
            metrics = dict.fromkeys([*tested, *self.names], 0.0)
            for part in summarise(settings, metrics):
                logger.experiment._get_file_writer().add_summary(part)
