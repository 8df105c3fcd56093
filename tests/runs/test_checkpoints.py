"""Damaged checkpoints and foreign files are refused, and a full disk is reported."""

import io
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from scripts.faults.flips import cut_short, flipped
from src import files
from src.errors import UserError
from src.files import write_whole
from src.runs.checkpoint_io import SafeCheckpointIO, read_checkpoint
from tests.conftest import PROJECT

LINE = ["fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=2",
        "--trainer.check_val_every_n_epoch=1"]  # fmt: skip
Content = dict[str, Any]


@pytest.fixture
def path(run: Callable[..., Content]) -> Path:
    """The checkpoint of a run."""
    run(*LINE)
    return max(Path("lightning_logs/line/version_0/checkpoints").glob("resume-*")).absolute()


def test_flipped_bits_are_found_or_change_nothing(path: Path) -> None:
    assert [fault for fault in islice(flipped([path], Random(0)), 500) if fault] == []


def test_a_flipped_bit_of_a_weight_is_found(path: Path) -> None:
    """The checksum detects it, although `torch.load` reads the file without an error."""
    weight = read_checkpoint(path)["state_dict"]["net.1.weight"].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weight)] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)
    with pytest.raises(UserError, match="damaged: its checksum is wrong"):
        read_checkpoint(path)


def test_a_flipped_bit_in_a_file_saved_by_torch_is_found(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    torch.save(content, path)
    read_checkpoint(path)
    weight = content["state_dict"]["net.1.weight"].numpy().tobytes()
    wrong = bytearray(path.read_bytes())
    wrong[wrong.index(weight)] ^= 1
    path.write_bytes(wrong)
    with pytest.raises(UserError, match=r"damaged: the checksum of .*/data/\d is wrong"):
        read_checkpoint(path)


def test_truncated_checkpoints_are_refused(path: Path) -> None:
    faults = list(cut_short([path]))
    assert len(faults) == 102
    assert not any(faults)


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("hello.txt", "hello")
    return content.getvalue()


def saved(value: Any) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x89PNG\r\n\x1a\n", zipped(), saved([1, 2]), saved(torch.ones(2)),
     saved({"weight": torch.ones(2)}), saved({"state_dict": {}})],
    ids=["empty", "text", "png", "zip", "list", "tensor", "state_dict", "no loops"],
)  # fmt: skip
def test_a_foreign_file_is_refused_with_its_path(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_checkpoint(path)
    assert str(path) in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3


def drop(name: str) -> Callable[[Content], None]:
    return lambda content: content["state_dict"].pop(name)


def without(key: str) -> Callable[[Content], None]:
    return lambda content: content.pop(key)


def put(value: torch.Tensor, name: str = "net.1.weight") -> Callable[[Content], None]:
    return lambda content: content["state_dict"].update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(torch.tensor([[float("nan")]])), "weights that are not finite, in net.1.weight"),
        (put(torch.tensor([[float("-inf")]])), "weights that are not finite, in net.1.weight"),
        (put(torch.ones(3, 2)), "size mismatch for net.1.weight"),
        (put(torch.ones(1), "more"), "more"),
        (drop("net.1.weight"), "net.1.weight"),
        (without("optimizer_states"), "has no optimizer_states"),
        (without("identity"), "has no identity"),
        (without("hyper_parameters"), "does not say which model"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_a_reason(
    change: Callable[[Content], None], message: str, path: Path, run: Callable[..., Content],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, "changed.ckpt")
    with pytest.raises(SystemExit) as stop:
        run(*LINE, "--trainer.max_epochs=4", "--ckpt_path=changed.ckpt")
    printed = capsys.readouterr().err
    error = printed[printed.index("error:") :].strip()
    assert stop.value.code == 1
    assert message in error
    assert len(error.splitlines()) <= 3


def test_a_failed_save_keeps_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.ckpt"
    write_whole(path, b"before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=r"x.ckpt cannot be written: No space left on device"):
        SafeCheckpointIO().save_checkpoint({"x": torch.ones(3)}, path)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.ckpt", b"before")]


def test_a_full_disk_stops_the_run_and_its_checkpoints_stay_readable(
    run: Callable[..., Content], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("src.callbacks.resume_points.SECONDS", 0.0)
    monkeypatch.setattr("src.callbacks.resume_points.SHARE", 0)
    flush, calls = files.os.fsync, iter(range(10**6))

    def full(descriptor: int) -> None:
        if next(calls) > 12:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(SystemExit) as stop:
        run(*LINE, "--trainer.max_epochs=20")
    assert stop.value.code == 1
    assert "cannot be written: No space left on device" in capsys.readouterr().err
    kept = list(Path("lightning_logs/line/version_0/checkpoints").iterdir())
    assert len(kept) >= 2
    for path in kept:
        read_checkpoint(path)
    assert not list(Path().rglob("*.part"))
