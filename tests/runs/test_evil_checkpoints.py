"""No command runs code from a malicious checkpoint, and pickled code is an error."""

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from src.cli import main
from src.data import Line
from src.models import LinearRegression
from tests.conftest import PROJECT

LINE = ["--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=2"]
Make = Callable[[dict[str, Any]], None]
COMMANDS = ["fit", "validate", "test", "predict"]


class Payload:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch canary",)


@pytest.fixture
def good(tmp_path: Path) -> dict[str, Any]:
    """The content of a valid checkpoint."""
    off = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=1, enable_checkpointing=False, accelerator="cpu", **off)
    trainer.fit(LinearRegression(), datamodule=Line())
    trainer.save_checkpoint("good.ckpt")
    return torch.load("good.ckpt", weights_only=True)


def raw_pickle(good: dict[str, Any]) -> None:
    Path("evil.ckpt").write_bytes(pickle.dumps({**good, "x": Payload()}))


def in_a_zip(good: dict[str, Any]) -> None:
    torch.save({**good, "x": Payload()}, "evil.ckpt")


def in_the_legacy_format(good: dict[str, Any]) -> None:
    torch.save({**good, "x": Payload()}, "evil.ckpt", _use_new_zipfile_serialization=False)


def in_a_tar(good: dict[str, Any]) -> None:
    with tarfile.open("evil.ckpt", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(Payload())
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def in_hyperparameters(good: dict[str, Any]) -> None:
    torch.save({**good, "hyper_parameters": {"bias": Payload()}}, "evil.ckpt")


def in_weights(good: dict[str, Any]) -> None:
    torch.save({**good, "state_dict": Payload()}, "evil.ckpt")


FILES = [raw_pickle, in_a_zip, in_the_legacy_format, in_a_tar, in_hyperparameters, in_weights]


def assert_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code in (1, 2)
    text = capsys.readouterr().err
    assert len(text.strip().splitlines()) <= 3
    assert not Path("canary").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_the_payload_runs_when_unpickled(make: Make, good: dict[str, Any]) -> None:
    make(good)
    with suppress(Exception):
        torch.load("evil.ckpt", weights_only=False)
    assert Path("canary").exists()


@pytest.mark.parametrize("forced", [False, True], ids=["", "forced"])
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_pickled_code_is_refused(
    make: Make,
    command: str,
    forced: bool,
    good: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if forced:  # makes torch.load ignore weights_only=True
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    make(good)
    assert_refused([command, *LINE, "--ckpt_path=evil.ckpt"], capsys)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("key", ["_class_path", "_instantiator", "_hparams_name"])
def test_a_module_named_in_a_checkpoint_is_not_imported(
    key: str, command: str, good: dict[str, Any], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    Path("evil_module.py").write_text("open('canary', 'w')\nclass LinearRegression: pass\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    good["hyper_parameters"][key] = "evil_module.LinearRegression"
    torch.save(good, "evil.ckpt")
    with suppress(SystemExit):  # some are refused, the others ignored
        main([command, *LINE, "--ckpt_path=evil.ckpt"])
    assert not Path("canary").exists()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("path", ["http://127.0.0.1:9/x.ckpt", "memory://x.ckpt", "hf://a/b"])
def test_a_url_is_refused_as_a_checkpoint(
    path: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused([command, *LINE, f"--ckpt_path={path}"], capsys)
