"""Writes the `config.yaml` of a run, which repeats it."""

import warnings
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from src.files import write_whole
from src.local_file import in_force, named
from src.runs.find import header
from src.runs.settings import specs
from src.training.run_trainer import run_folder

FAILED = "Unable to serialize instance"  # what jsonargparse writes instead of some values


class RunConfig(SaveConfigCallback):
    """Writes `config.yaml` atomically, without what names this run folder or another one."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        config = self.config.clone()
        if config.pop("resume", None):
            config.ckpt_path = None
        config.pop("run", None)  # the config of that run is part of this one
        config.folder = None
        for spec in specs(config.trainer.logger):
            if "version" in spec.get("init_args", {}):
                spec.init_args.version = None  # the next run has a folder of its own
        text = yaml.safe_dump(plain(self.parser, config), allow_unicode=True, sort_keys=False)
        if folder := run_folder(trainer):
            local = in_force(config.as_dict()).items()
            notes = "".join(f"# {name}: {value}, by {named()}\n" for name, value in local)
            write_whole(folder / "config.yaml", header(TrainerFn(stage).value) + notes + text)


def plain(parser: ArgumentParser, config: Namespace) -> dict[str, Any]:
    """Return settings as they stand in a `config.yaml`: numbers, strings, lists and dictionaries.

    jsonargparse cannot write a default such as `torch.device("cpu")`, nor a name given where a
    function may be given, too. The default is left out, and the name kept.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", rf"\s*{FAILED}")
        text = parser.dump(config, skip_none=False, skip_validation=True)
    return _restored(yaml.safe_load(text), config.as_dict())


def _restored(written: Any, given: Any) -> Any:
    if isinstance(written, dict) and isinstance(given, dict):
        parts = {name: (value, given.get(name)) for name, value in written.items()}
        return {k: _restored(*pair) for k, pair in parts.items() if not _is_lost(*pair)}
    if isinstance(written, list) and isinstance(given, list | tuple):
        return [_restored(*pair) for pair in zip(written, given, strict=True)]
    return given if str(written).startswith(FAILED) else written


def _is_lost(written: Any, given: Any) -> bool:
    return str(written).startswith(FAILED) and not isinstance(given, str | int | float)
