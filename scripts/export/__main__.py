"""Exports a trained network to ONNX, torch.export and safetensors files.

    ./scripts/run export lightning_logs/mnist_lenet/version_0
    ./scripts/run export latest --out served --overwrite

The best checkpoint is taken. Into RUN/export/ go model.onnx, model.pt2 (torch.export) and
weights.safetensors, which hold padding and normalisation, too, and export.json, which tells of
them. Each file is run from its bytes on all test images and compared with the model as the project
evaluates it: unless all predictions are equal and probabilities within 1e-4, nothing is written.
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

from scripts.shared.trained import Trained, extra, open_run
from src.command.failures import in_words
from src.errors import UserError
from src.files import write_whole
from src.inference.portable import Portable

with in_words(), extra("export", "export"):
    from scripts.export.check import CALLS, SIZES, judged
    from scripts.export.formats import FORMATS, Facts, describe

RECORD = "export.json"  # written last: it stands beside whole files that belong together only


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the export, and the words that say where the data are."""
    parser = argparse.ArgumentParser(
        prog="export", allow_abbrev=False, description=__doc__,
        usage="export RUN [--out FOLDER] [--overwrite] [what predict takes, as --data.root FOLDER]",
        formatter_class=argparse.RawTextHelpFormatter,
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="folder of a run, or latest")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="default RUN/export")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    return parser.parse_known_args(args)


def export(trained: Trained) -> tuple[dict[str, bytes], Facts]:
    """Return the files and the record of an export, all checked.

    Raises:
        UserError: If the test images are not there, or a file does not do what the model does.
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


def check_place(folder: Path, overwrite: bool) -> None:
    """Look at where the files are to go, before the work.

    Raises:
        UserError: If nothing can be written there, or an export is there that is not to be
            overwritten, or a part of one.
    """
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise UserError(f"--out {folder}: {place} is not a folder that can be written to.")
    found = [name for name in (*FORMATS, RECORD) if (folder / name).exists()]
    if found and not overwrite:
        raise UserError(
            f"{folder} holds an export already ({', '.join(found)}), and is not overwritten.\n"
            "Give --overwrite to replace it, or another folder with --out."
        )


def publish(folder: Path, files: dict[str, bytes], record: Facts) -> None:
    """Write files and record, each whole or not at all, the record last."""
    (folder / RECORD).unlink(missing_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    write_whole(folder / RECORD, json.dumps(record, indent=2) + "\n")


def show(record: Facts, folder: Path) -> None:
    """Print what was measured, on what, and where the files are."""
    on = record["checked_on"]
    n = on["sizes"]["test"]
    table = Table(title=Text(f"{record['model'].rsplit('.', 1)[-1]} of {record['run']}"))
    table.add_column("file", no_wrap=True)
    for name in ("bytes", "largest difference", f"flips of {n:,}", "ms an image"):
        table.add_column(name, justify="right")
    for name, file in record["measured"].items():
        table.add_row(name, *cells(file))
    console = Console()
    console.print(table)
    style = "bold red" if "NOT MNIST" in on["name"] else None
    text = f"test images: {n:,} of {on['name']}, {on['source']}"
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
    print(f"in batches of: {', '.join(f'{size:,}' for size in on['batches'])}")
    print(f"time: median of {CALLS} calls with a single image, threads: {record['threads']}")
    print(f"folder: {folder}")


def cells(file: Facts) -> list[str]:
    """Return what the table says of a file, or of the model, with which it is compared."""
    time = f"{file['milliseconds']:.3f}"
    if "bytes" not in file:
        return ["", "", "", time]
    return [f"{file['bytes']:,}", f"{file['largest_difference']:.1e}", str(file["flips"]), time]


def main(args: Sequence[str] | None = None) -> None:
    options, more = parse(args)
    trained = open_run(options.run, "export", more)
    folder = options.out or trained.path.parents[1] / "export"
    with in_words():
        check_place(folder, options.overwrite)
        with Console(stderr=True).status("Exporting, and checking each file on all test images"):
            files, record = export(trained)
        publish(folder, files, record)
    show(record, folder)


if __name__ == "__main__":
    main()
