"""Makes the files of an export, checks each against the model, and writes them."""

import json
import os
from pathlib import Path

import torch
from torch import Tensor

from scripts.export.check import CALLS, SIZES, checked
from scripts.export.formats import FORMATS, Facts, describe
from scripts.shared.trained import Trained
from src.data import ImageFolder
from src.data.images import ImageData
from src.errors import UserError
from src.files import write_whole
from src.inference.portable import Portable

RANDOM = 1000  # images
RECORD = "export.json"  # written last, so that it only describes complete files of one export


def export(trained: Trained) -> tuple[dict[str, bytes], Facts]:
    """Return the validated files and the record of an export.

    Raises:
        UserError: If the test images are missing, or a file's output differs from the model's.
    """
    model, data = trained.model, trained.data
    images, source = images_to_compare(data)
    facts = describe(trained, images.shape[1:])
    portable = Portable(model.net, data.mean, data.std, data.pad, model.probabilities)
    files = {name: write(portable, facts) for name, (write, _) in FORMATS.items()}
    measured = checked(trained, images, files)
    on = {**data.describe(), "source": source, "sizes": {"test": len(images)}, "batches": SIZES}
    how = {"calls": CALLS, "threads": torch.get_num_threads()}
    return files, {"measured": measured, "checked_on": on, **how, **facts}


def images_to_compare(data: ImageData) -> tuple[Tensor, str]:
    """Return the test images, or random ones if the folder of a run is gone; and their source.

    Raises:
        UserError: If the files of MNIST or CIFAR-10 are missing.
    """
    if not isinstance(data, ImageFolder):
        data.prepare_data()
        return data.load()[1][0], data.source
    if data.path.exists():
        return data.images("test")[0], data.source
    shape = (RANDOM, data.channels, data.size, data.size)
    pixels = torch.randint(
        256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return pixels, f"random pixels, since {data.path} does not exist"


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
