"""TensorBoard's HPARAMS tab: the settings of the run beside the metrics that it really reached."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams as summarise


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
            settings = flat({**pl_module.hparams, **trainer.datamodule.hparams})
            metrics = dict.fromkeys([*tested, *self.names], 0.0)
            for part in summarise(settings, metrics):
                logger.experiment._get_file_writer().add_summary(part)


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings as one level of numbers and strings, without those that are None.

    A class with its arguments, `{"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}` under
    `optimizer`, becomes `optimizer: SGD` and `optimizer.lr: 0.1`.
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = prefix + key
        if isinstance(value, dict) and "class_path" in value:
            found[name] = value["class_path"].rsplit(".", 1)[-1]
            found |= flat(value.get("init_args", {}), f"{name}.")
        elif isinstance(value, dict):
            found |= flat(value, f"{name}.")
        elif value is not None and not key.startswith("_"):
            found[name] = value if isinstance(value, bool | int | float | str) else str(value)
    return found
