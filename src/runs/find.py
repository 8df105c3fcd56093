"""Finds runs and their best checkpoints from what a user types: a folder, or `latest`."""

from pathlib import Path

from src.errors import UserError
from src.runs.results import read_results

LOGS = Path("lightning_logs")


def find(name: str, config: str | None, flag: str) -> Path | None:
    """Return the run folder that `--resume` or `--run` names.

    Args:
        name: A folder, or `latest`: the run that saved last, of this config if one is given.
        config: Name of the config given on the same command line.
        flag: `--resume` or `--run`, for error messages.

    Returns:
        The folder; None if `latest` was asked for and the config has no run yet.

    Raises:
        UserError: If the folder was not written by `fit`, or there is no run at all.
    """
    if name != "latest":
        folder = Path(name)
        if not (folder / "config.yaml").is_file():
            problem = "is not a run folder: it has no config.yaml"
        elif not is_fit(folder / "config.yaml"):
            problem = "is not the folder of a training: fit has not written its config.yaml"
        else:
            return folder if len(folder.parents) > 1 else folder.resolve()
        raise UserError(f"{flag} {name} {problem}.\nGive lightning_logs/NAME/version_N, or latest.")
    runs = [path.parent for path in LOGS.glob(f"{config or '*'}/*/config.yaml") if is_fit(path)]
    if runs:
        return max(runs, key=last_saved)
    if config:
        return None
    raise UserError(f"{flag} latest: there is no run in {LOGS.absolute()}.\nGive its folder.")


def best_checkpoint(folder: Path) -> Path:
    """Return the checkpoint of a run that validation chose and that was tested.

    Raises:
        UserError: If there is none, or the run was killed before its test and has several.
    """
    results = read_results(folder) or {}
    saved = [path for path in folder.glob("checkpoints/*.ckpt") if "resume-" not in path.name]
    if chosen := results.get("best_checkpoint"):  # compare names: the folder may have been moved
        saved = [path for path in saved if path.name == Path(str(chosen)).name]
        named = Path(str(chosen))
        of_run = (named.parents[1] / "config.yaml").is_file()  # of that which this one is a copy of
        if not saved and named.is_file() and not of_run:  # in a folder that the user has named
            return named
    if len(saved) == 1:
        return saved[0]
    found = ", ".join(sorted(path.name for path in saved)) or "none"
    raise UserError(
        f"The best checkpoint of {folder} is not known: found {found} in checkpoints/.\n"
        "Give a run of fit that has saved one, or name the file with --ckpt_path FILE."
    )


def header(command: str) -> str:
    """Return the first line of the config.yaml of a run, which names the command that wrote it."""
    return f"# {command}: python -m src.cli {command} --config THIS_FILE\n"


def is_fit(config: Path) -> bool:
    """Return whether a config.yaml was written by `fit`, the only command that can be resumed."""
    with config.open(encoding="utf-8") as file:
        return file.readline().startswith("# fit: ")


def training_of(folder: Path) -> Path:
    """Return the run folder of an evaluation in `RUN/test` and so on; of a training, its own."""
    return folder.parent if (folder.parent / "config.yaml").is_file() else folder


def last_saved(folder: Path) -> float:
    """Return the time of the newest checkpoint of a run, or of its config if it has none."""
    files = [folder / "config.yaml", *folder.glob("checkpoints/*.ckpt")]
    return max(file.stat().st_mtime for file in files)
