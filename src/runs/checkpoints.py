"""Which checkpoint to resume from, and what a checkpoint says about the run it belongs to."""

from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from src.errors import UserError
from src.runs.checkpoint_io import ADVICE, read_checkpoint

RESUME = "resume-step{step:08d}.ckpt"  # file name of the checkpoints that `--resume` uses


def resume_files(folder: Path) -> list[Path]:
    """Return the checkpoints that `--resume` can use, the oldest first."""
    return sorted(folder.glob("resume-*.ckpt"))


def newest_intact(folder: Path) -> Path | None:
    """Return the newest checkpoint to resume from, None if there is none yet.

    A damaged one is named in a warning, and the previous one is tried.

    Raises:
        UserError: If all are damaged.
    """
    found = resume_files(folder)
    for path in reversed(found):
        try:
            read_checkpoint(path)
            return path
        except UserError as error:
            rank_zero_warn(f"{str(error).splitlines()[0]} Trying the previous one.")
    if found:
        raise UserError(
            f"No checkpoint to resume from in {folder} is intact.\n"
            "Start a new run, or continue from a best-*.ckpt with --ckpt_path FILE."
        )
    return None


def check_class(checkpoint: dict[str, Any], path: str, class_path: str) -> None:
    """Refuse a checkpoint of another model class; names are compared, and nothing is imported.

    Raises:
        UserError: If the class differs, or the checkpoint does not name one.
    """
    known = checkpoint.get("hyper_parameters")
    if not isinstance(known, dict):
        raise UserError(f"{path} does not say which model it belongs to.\n{ADVICE}")
    names = str(known.get("_class_path", class_path)), class_path
    made, wanted = (name.rsplit(".", 1)[-1] for name in names)
    if made != wanted:
        raise UserError(
            f"{path} holds a {made}, but the model is {wanted}.\n"
            "Give the config.yaml of the run that wrote it."
        )


def keep_classes(data: Any, checkpoint: dict[str, Any]) -> None:
    """Give the image folder in a config the classes that the network was trained on.

    Args:
        data: Class and arguments of the data module.
        checkpoint: The checkpoint of the network.
    """
    state = checkpoint.get(data.class_path.rpartition(".")[2])
    arguments = data.get("init_args", {})
    if "class_names" in arguments and isinstance(state, dict):
        arguments.class_names = state.get("class_names")


def data_state(checkpoint: dict[str, Any], data: Any, path: Path) -> dict[str, Any]:
    """Return the state of the data module in a checkpoint: normalisation and class names.

    Raises:
        UserError: If there is none, or it belongs to another class of data module.
    """
    kind = type(data).__qualname__
    saved = checkpoint.get("datamodule_hyper_parameters")
    other = str((saved if isinstance(saved, dict) else {}).get("_class_path", kind))
    if other.rpartition(".")[2] != kind:
        raise UserError(
            f"{path} belongs to a run on {other.rpartition('.')[2]}, but the data is {kind}."
        )
    state = checkpoint.get(kind)
    if not isinstance(state, dict):
        raise UserError(
            f"{path} does not say how its images were normalised: it was written by an earlier"
            " version.\nTrain the run again to use it here."
        )
    return state


def identity_of(checkpoint: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the run identity in a checkpoint, as the callback Identity saves it.

    Raises:
        UserError: If it is missing, or the checkpoint lacks the state to continue training.
    """
    wanted = ("identity", "record", "stopped_early", "optimizer_states", "lr_schedulers",
              "callbacks")  # fmt: skip
    if missing := [name for name in wanted if name not in checkpoint]:
        raise UserError(
            f"{path} has no {missing[0]}: fit can only continue from checkpoints of its own runs.\n"
            f"{ADVICE}"
        )
    return dict(checkpoint["identity"])


def relocate(checkpoint: dict[str, Any], path: Path, saver: Any) -> None:
    """Update the paths in the state of checkpoint callbacks if the run folder was moved."""
    folder = str(saver.dirpath) if saver else ""
    if not saver or path.resolve().parent != Path(folder).resolve():
        return  # a new run that continues from a checkpoint of another one
    before = checkpoint["callbacks"].get(saver.state_key, {}).get("dirpath")
    for state in checkpoint["callbacks"].values():
        if before and state.get("dirpath") == before:  # not a folder that the user has named
            for name, value in state.items():
                if isinstance(value, str):
                    state[name] = value.replace(before, folder)
            scores = state.get("best_k_models", {})
            state["best_k_models"] = {k.replace(before, folder): v for k, v in scores.items()}
