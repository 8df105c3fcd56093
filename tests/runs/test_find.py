"""The checkpoint of a run is found in its folder, in one that the user named, and nowhere else."""

import json
import shutil
from pathlib import Path

import pytest

from src.errors import UserError
from src.runs.find import best_checkpoint


def run(folder: Path, checkpoint: Path) -> Path:
    """Write what `best_checkpoint` reads of a finished run."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("# fit: \n")
    results = {"best_checkpoint": str(checkpoint), "metrics": {"test/loss": 0.1}}
    (folder / "results.json").write_text(json.dumps(results))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.touch()
    return folder


def test_a_copied_run_has_its_own_checkpoint_or_none() -> None:
    saved = Path("logs/mlp/version_0/checkpoints/best-epoch01.ckpt")
    original = run(saved.parents[1], saved)
    assert best_checkpoint(original) == saved
    copy = Path(shutil.copytree(original, "copy"))
    assert best_checkpoint(copy) == copy / "checkpoints/best-epoch01.ckpt"
    (copy / "checkpoints/best-epoch01.ckpt").unlink()
    with pytest.raises(UserError, match="The best checkpoint of copy is not known: found none"):
        best_checkpoint(copy)


def test_a_checkpoint_folder_that_the_user_named_is_found() -> None:
    saved = Path("elsewhere/best-epoch01.ckpt")
    assert best_checkpoint(run(Path("logs/mlp/version_0"), saved)) == saved
