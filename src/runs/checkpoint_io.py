"""Checkpoint files: written atomically with a checksum, and validated before they are used."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from src.errors import UserError
from src.files import write_whole

SEAL = (64).to_bytes(2, "little")  # length of the zip comment: a SHA-256 sum in hex
ADVICE = "A run has its checkpoints in lightning_logs/NAME/version_N/checkpoints/."


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically; loads only intact ones of tensors and plain values.

    Lightning's own writes through a temporary folder that may be on another disk, hides permission
    errors, and loads a file with flipped bits without notice.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint; raise UserError if the disk is full or the folder is read-only."""
        buffer = io.BytesIO()  # torch.save to a file aborts the process when the disk is full
        torch.save(checkpoint, buffer)
        write_whole(Path(path), sealed(buffer.getvalue()))

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the content of a checkpoint; `weights_only` is always on."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, on the CPU.

    Raises:
        UserError: If the file is missing, damaged (by a single bit, say), not a checkpoint, or
            holds anything but tensors and plain values, or weights that are NaN or infinite.
    """
    checkpoint = unpacked(path)
    for name, value in checkpoint["state_dict"].items():
        if isinstance(value, Tensor) and not value.isfinite().all():
            raise UserError(f"{path} holds weights that are not finite, in {name}.\n{ADVICE}")
    return checkpoint


def unpacked(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint as `read_checkpoint` does, but allow NaN in weights."""
    content = _checked(path)
    try:
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a foreign zip file may raise anything
        raise UserError(
            f"{path} is not a checkpoint of this project: it holds more than tensors and plain"
            f" values.\nSuch a file could run code, and is not loaded. {ADVICE}"
        ) from error
    weights = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or "loops" not in checkpoint:
        raise UserError(f"{path} is not a checkpoint of this project.\n{ADVICE}")
    try:
        odd = [
            one for one in _tensors(checkpoint) if one.layout != torch.strided or one.is_complex()
        ]
    except RecursionError as error:
        raise UserError(f"{path} holds a value that contains itself.\n{ADVICE}") from error
    if odd:
        raise UserError(
            f"{path} holds sparse or complex tensors, which no model here uses.\n{ADVICE}"
        )
    return checkpoint


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors within dictionaries and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple | set):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def sealed(content: bytes) -> bytes:
    """Return a zip file with the SHA-256 sum of all its bytes as its comment.

    A zip file has checksums of its parts only; a flipped bit between them can change what is read.
    """
    body = content[:-2]  # the last two bytes are the length of the comment, which torch leaves 0
    return body + SEAL + hashlib.sha256(body).hexdigest().encode()


def is_sealed(content: bytes) -> bool:
    """Return whether a file ends in a checksum; `read_checkpoint` validates it."""
    return content[-66:-64] == SEAL


def _checked(path: Path) -> bytes:
    """Return the bytes of a file, validated by its checksum or by those of its parts."""
    if not path.is_file():
        raise UserError(f"{path} is not a file; expected a checkpoint.\n{ADVICE}")
    content = path.read_bytes()
    body, digest = content[:-66], content[-64:]
    if is_sealed(content) and hashlib.sha256(body).hexdigest().encode() != digest:
        raise UserError(f"{path} is damaged: its checksum is wrong.\n{ADVICE}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = None if is_sealed(content) else archive.testzip()
    except Exception as error:  # zipfile raises many types for damaged files
        raise UserError(f"{path} is damaged, or not a checkpoint ({error}).\n{ADVICE}") from error
    if damaged:
        raise UserError(f"{path} is damaged: the checksum of {damaged} is wrong.\n{ADVICE}")
    return content
