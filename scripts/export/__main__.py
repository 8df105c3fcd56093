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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.shared.extras import extra
from scripts.shared.options import ToolParser
from scripts.shared.trained import open_run
from src.command.failures import short_errors


def parse(args: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the export, and the arguments for `predict`, e.g. the data folder."""
    usage = (
        "%(prog)s RUN [--out FOLDER] [--overwrite]\n       [options of predict: --data.root DIR]"
    )
    parser = ToolParser("export", __doc__, usage=usage)
    parser.add_run("folder of a run, or latest")
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, help="output folder; default RUN/export"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    options, more = parser.parse_known_args(args)
    parser.check_run(options.run)
    return options, more


def show(record: dict[str, Any], folder: Path) -> None:
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
    calls, threads = record["calls"], record["threads"]
    print(f"time: median of {calls} calls with a single image, threads: {threads}")
    print(f"folder: {folder}")


def cells(file: dict[str, Any]) -> list[str]:
    """Return the table cells of a file, or of the model itself."""
    time = f"{file['milliseconds']:.3f}"
    if "bytes" not in file:
        return ["", "", "", time]
    return [f"{file['bytes']:,}", f"{file['largest_difference']:.1e}", str(file["flips"]), time]


def main(args: Sequence[str] | None = None) -> None:
    options, more = parse(args)
    with short_errors(), extra("export", "export"):  # imported late: it takes seconds
        from scripts.export.files import check_folder, export, publish
    trained = open_run(options.run, "export", more)
    folder = options.out or trained.path.parents[1] / "export"
    with short_errors():
        check_folder(folder, options.overwrite)
        with Console(stderr=True).status("Exporting and validating each file on all test images"):
            files, record = export(trained)
        publish(folder, files, record)
    show(record, folder)


if __name__ == "__main__":
    main()
