"""Makes the files of an export, checks each against the model, and writes them."""

import json
import os
from pathlib import Path

import torch

from scripts.export.check import CALLS, SIZES, checked
from scripts.export.formats import FORMATS, Facts, describe
from scripts.shared.trained import Trained
from src.errors import UserError
from src.files import write_whole
from src.inference.portable import Portable

RECORD = "export.json"  # written last, so that it only describes complete files of one export


def export(trained: Trained) -> tuple[dict[str, bytes], Facts]:
    """Return the validated files and the record of an export.

    Raises:
        UserError: If the test images are missing, or a file's output differs from the model's.
    """
    model, data = trained.model, trained.data
    data.prepare_data()
    images = data.load()[1][0]
    facts = describe(trained, images.shape[1:])
    portable = Portable(model.net, data.mean, data.std, data.pad, model.probabilities)
    files = {name: write(portable, facts) for name, (write, _) in FORMATS.items()}
    measured = checked(trained, images, files)
    on = {**data.describe(), "sizes": {"test": len(images)}, "batches": SIZES}
    how = {"calls": CALLS, "threads": torch.get_num_threads()}
    return files, {"measured": measured, "checked_on": on, **how, **facts}


def check_folder(folder: Path, overwrite: bool) -> None:
    """Validate the output folder before the export starts.

    Raises:
        UserError: If it is not writable, or holds files of an export without --overwrite.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"--out {folder}: {existing} is not a writable folder.")
    found = [name for name in (*FORMATS, RECORD) if (folder / name).exists()]
    if found and not overwrite:
        raise UserError(
            f"{folder} already holds an export ({', '.join(found)}).\n"
            "Give --overwrite to replace it, or another folder with --out."
        )


def publish(folder: Path, files: dict[str, bytes], record: Facts) -> None:
    """Write each file atomically, the record last."""
    (folder / RECORD).unlink(missing_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    write_whole(folder / RECORD, json.dumps(record, indent=2) + "\n")
