"""Checkpoint files: whole or absent when written, checked in every byte before they are used."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from src.errors import UserError
from src.files import write_whole

RESUME = "resume-step{step:08d}.ckpt"  # what `--resume` looks for
SEAL = (64).to_bytes(2, "little")  # the length of the sum at the end
ADVICE = "A run has its checkpoints in lightning_logs/NAME/version_N/checkpoints/."


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes beside, flushes and renames; reads nothing but tensors and plain values, and checks.

    Lightning's own goes through a temporary folder that may lie on another disk, hides a refused
    permission, and reads a file with wrong bits without a word.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint; raise UserError if the disk is full or the folder is read-only."""
        buffer = io.BytesIO()  # torch writing to the file itself would abort on a full disk
        torch.save(checkpoint, buffer)
        write_whole(Path(path), sealed(buffer.getvalue()))

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return what `read_checkpoint` does, whatever the caller thinks of `weights_only`."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, on the CPU.

    Raises:
        UserError: If the file is missing, damaged in a single bit, no checkpoint, or holds
            anything but tensors and plain values, or weights that are not numbers.
    """
    checkpoint = unpacked(path)
    for name, value in checkpoint["state_dict"].items():
        if isinstance(value, Tensor) and not value.isfinite().all():
            raise UserError(f"{path} holds weights that are not finite, in {name}.\n{ADVICE}")
    return checkpoint


def unpacked(path: Path) -> dict[str, Any]:
    """Return what `read_checkpoint` does, weights that are not finite included, to look at."""
    content = _checked(path)
    try:
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a zip file of anything, made by anybody
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
        raise UserError(f"{path} holds a value that holds itself.\n{ADVICE}") from error
    if odd:
        raise UserError(f"{path} holds sparse or complex tensors, which none here does.\n{ADVICE}")
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

    A zip file has checksums of its parts alone; a wrong bit between them can change what is read.
    """
    body = content[:-2]  # what follows is the length of the comment, which torch leaves empty
    return body + SEAL + hashlib.sha256(body).hexdigest().encode()


def is_sealed(content: bytes) -> bool:
    """Return whether a file ends in a seal; whether it is right, `read_checkpoint` has checked."""
    return content[-66:-64] == SEAL


def _checked(path: Path) -> bytes:
    """Return the bytes of a file, compared with its seal or, without one, its parts' sums."""
    if not path.is_file():
        raise UserError(f"{path} is not a file; expected a checkpoint.\n{ADVICE}")
    content = path.read_bytes()
    body, digest = content[:-66], content[-64:]
    if is_sealed(content) and hashlib.sha256(body).hexdigest().encode() != digest:
        raise UserError(f"{path} is damaged: its checksum is wrong.\n{ADVICE}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = None if is_sealed(content) else archive.testzip()
    except Exception as error:  # zipfile has a dozen ways to stumble over wrong bytes
        raise UserError(f"{path} is damaged, or no checkpoint ({error}).\n{ADVICE}") from error
    if damaged:
        raise UserError(f"{path} is damaged: the checksum of {damaged} is wrong.\n{ADVICE}")
    return content


def resume_files(folder: Path) -> list[Path]:
    """Return the checkpoints that `--resume` may take, the oldest first."""
    return sorted(folder.glob("resume-*.ckpt"))


def newest_intact(folder: Path) -> Path | None:
    """Return the newest checkpoint to resume from, None if there is none yet.

    A damaged one is named in a warning, and the one before it is tried.

    Raises:
        UserError: If all are damaged.
    """
    found = resume_files(folder)
    for path in reversed(found):
        try:
            read_checkpoint(path)
            return path
        except UserError as error:
            rank_zero_warn(f"{str(error).splitlines()[0]} Trying the one before it.")
    if found:
        raise UserError(
            f"No checkpoint to resume from in {folder} is intact.\n"
            "Start a new run: from a best-*.ckpt that is there, with --ckpt_path, or from nothing."
        )
    return None


def check_class(checkpoint: dict[str, Any], path: str, class_path: str) -> None:
    """Refuse a checkpoint of another class of model, told by its name: nothing is imported.

    Raises:
        UserError: If it is one, or does not say what it is of.
    """
    known = checkpoint.get("hyper_parameters")
    if not isinstance(known, dict):
        raise UserError(f"{path} does not say which model it is of.\n{ADVICE}")
    names = str(known.get("_class_path", class_path)), class_path
    made, wanted = (name.rsplit(".", 1)[-1] for name in names)
    if made != wanted:
        raise UserError(
            f"{path} holds a {made}, but the model is {wanted}.\n"
            "Give the config.yaml of the run that it is from."
        )


def data_state(checkpoint: dict[str, Any], data: Any, path: Path) -> dict[str, Any]:
    """Return what the data module of a run has kept in its checkpoint: how it normalises.

    Raises:
        UserError: If there is none.
    """
    kind = type(data).__qualname__
    saved = checkpoint.get("datamodule_hyper_parameters")
    other = str((saved if isinstance(saved, dict) else {}).get("_class_path", kind))
    if other.rpartition(".")[2] != kind:
        raise UserError(
            f"{path} is of a run on {other.rpartition('.')[2]}, but the data is {kind}."
        )
    state = checkpoint.get(kind)
    if not isinstance(state, dict):
        raise UserError(
            f"{path} does not say how its images were normalised: it was written by an earlier"
            " version.\nTrain the run anew to use it here."
        )
    return state


def identity_of(checkpoint: dict[str, Any], path: str) -> dict[str, Any]:
    """Return what the run of a checkpoint was, as the callback Identity keeps it.

    Raises:
        UserError: If the checkpoint does not say, or has no state to go on training from.
    """
    wanted = ("identity", "record", "stopped_early", "optimizer_states", "lr_schedulers",
              "callbacks")  # fmt: skip
    if missing := [name for name in wanted if name not in checkpoint]:
        raise UserError(
            f"{path} has no {missing[0]}: fit can go on from checkpoints of its own runs only.\n"
            f"{ADVICE}"
        )
    return dict(checkpoint["identity"])


def logger_step(checkpoint: dict[str, Any]) -> int:
    """Return the step at which the curves go on."""
    return int(checkpoint["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"])


def relocate(checkpoint: dict[str, Any], path: Path, saver: Any) -> None:
    """Let the checkpoint callback of a run that was moved find its files in today's folder."""
    folder = str(saver.dirpath) if saver else ""
    if not saver or path.resolve().parent != Path(folder).resolve():
        return  # a new run goes on from the checkpoint of another
    for state in checkpoint["callbacks"].values():
        if before := state.get("dirpath"):
            for name, value in state.items():
                if isinstance(value, str):
                    state[name] = value.replace(before, folder)
            scores = state.get("best_k_models", {})
            state["best_k_models"] = {k.replace(before, folder): v for k, v in scores.items()}
