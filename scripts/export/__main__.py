"""Exports a trained network as ONNX, torch.export and safetensors files.

    ./scripts/run export lightning_logs/mnist_lenet/version_0
    ./scripts/run export latest --out served --overwrite

The best checkpoint is exported. RUN/export/ gets model.onnx, model.pt2 (torch.export) and
weights.safetensors, which include padding and normalisation and map raw pixels to probabilities,
and export.json, which describes them. Each file is run on all test images and compared with the
model as the project evaluates it: nothing is written unless all predictions are equal and
probabilities agree within 1e-4.
"""
# extra: export

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.shared.options import ToolParser
from scripts.shared.trained import Trained, extra, open_run
from src.command.failures import in_words
from src.errors import UserError
from src.files import write_whole
from src.inference.portable import Portable

with in_words(), extra("export", "export"):
    from scripts.export.check import CALLS, SIZES, judged
    from scripts.export.formats import FORMATS, Facts, describe

RECORD = "export.json"  # written last, so that it only describes complete files of one export


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the export, and the arguments for `predict`, e.g. the data folder."""
    usage = "%(prog)s RUN [--out FOLDER] [--overwrite] [options of predict, e.g. --data.root DIR]"
    parser = ToolParser("export", __doc__, usage=usage)
    parser.add_argument("run", metavar="RUN", help="folder of a run, or latest")
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, help="output folder; default RUN/export"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    return parser.parse_known_args(args)


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
    measured = judged(trained, images, files)
    on = {**data.describe(), "sizes": {"test": len(images)}, "batches": SIZES}
    how = {"measured": measured, "checked_on": on, "threads": torch.get_num_threads()}
    return files, how | facts


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


def show(record: Facts, folder: Path) -> None:
    """Print the measurements, the test data and the output folder."""
    on = record["checked_on"]
    n = on["sizes"]["test"]
    table = Table(title=Text(f"{record['model'].rsplit('.', 1)[-1]} of {record['run']}"))
    table.add_column("file", no_wrap=True)
    for name in ("bytes", "largest difference", f"flips of {n:,}", "ms per image"):
        table.add_column(name, justify="right")
    for name, file in record["measured"].items():
        table.add_row(name, *cells(file))
    console = Console()
    console.print(table)
    style = "bold red" if "NOT MNIST" in on["name"] else None
    text = f"test images: {n:,} of {on['name']}, {on['source']}"
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
    print(f"batch sizes: {', '.join(f'{size:,}' for size in on['batches'])}")
    print(f"time: median of {CALLS} calls with a single image, threads: {record['threads']}")
    print(f"folder: {folder}")


def cells(file: Facts) -> list[str]:
    """Return the table cells of a file, or of the model itself."""
    time = f"{file['milliseconds']:.3f}"
    if "bytes" not in file:
        return ["", "", "", time]
    return [f"{file['bytes']:,}", f"{file['largest_difference']:.1e}", str(file["flips"]), time]


def main(args: Sequence[str] | None = None) -> None:
    options, more = parse(args)
    trained = open_run(options.run, "export", more)
    folder = options.out or trained.path.parents[1] / "export"
    with in_words():
        check_folder(folder, options.overwrite)
        with Console(stderr=True).status("Exporting and validating each file on all test images"):
            files, record = export(trained)
        publish(folder, files, record)
    show(record, folder)


if __name__ == "__main__":
    main()
