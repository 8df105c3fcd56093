"""Writes the `config.yaml` of a run, which repeats it."""

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from src.files import write_whole
from src.runs.find import header


class RunConfig(SaveConfigCallback):
    """Writes `config.yaml` atomically, without what names this run folder or another one."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        config = self.config.clone()
        if config.pop("resume", None):
            config.ckpt_path = None
        config.pop("run", None)  # the config of that run is part of this one
        if "version" in (config.trainer.logger or {}).get("init_args", {}):
            config.trainer.logger.init_args.version = None  # the next run has a folder of its own
        text = header(TrainerFn(stage).value) + self.parser.dump(config, skip_none=False)
        write_whole(Path(str(trainer.loggers[0].log_dir), "config.yaml"), text)
