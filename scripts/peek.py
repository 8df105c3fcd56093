"""Prints the content of a checkpoint without running any code from it.

    ./scripts/run peek lightning_logs/mnist_lenet/version_0/checkpoints/best-epoch07.ckpt
    ./scripts/run peek lightning_logs/mnist_lenet/version_0        # its best checkpoint
    ./scripts/run peek latest --json

No class named in the checkpoint is imported. Parts that are missing, e.g. in checkpoints of plain
Lightning or of earlier versions, are omitted.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from scripts.shared.options import ToolParser
from src.command.failures import short_errors
from src.runs.checkpoint_io import is_sealed, unpacked
from src.runs.find import best_checkpoint, find
from src.runs.settings import flat
from src.runs.summary import wrapped

Facts = dict[str, Any]


def parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = ToolParser("peek", __doc__)
    parser.add_run("a checkpoint, folder of a run, or latest")
    parser.add_argument("--json", action="store_true", help="print JSON, for other programs")
    options = parser.parse_args(args)
    parser.check_run(options.run)
    return options


def file_of(name: str) -> Path:
    """Return the path of a checkpoint; for the folder of a run, that of its best one.

    Raises:
        UserError: If the folder is not that of a run, or its best checkpoint is unknown.
    """
    if name != "latest" and not Path(name).is_dir():
        return Path(name)
    folder = find(name, None, "peek")
    assert folder  # None is only returned if a config is given
    return best_checkpoint(folder)


def part(of: Any, *names: str) -> Facts:
    """Return a nested dictionary, or an empty one if any level is missing."""
    for name in names:
        of = of.get(name) if isinstance(of, dict) else None
    return of if isinstance(of, dict) else {}


def settings(of: Facts) -> Facts:
    """Return the name and the settings of a class, without importing it."""
    path = of.get("_class_path")
    return known({"class": str(path).rsplit(".", 1)[-1] if path else None}) | flat(of)


def known(facts: Facts) -> Facts:
    return {name: value for name, value in facts.items() if value is not None}


def sections(path: Path, checkpoint: Facts) -> dict[str, Facts]:
    """Return the content of a checkpoint, by heading."""
    content = path.read_bytes()
    data = settings(part(checkpoint, "datamodule_hyper_parameters"))
    commands = part(checkpoint, "record").get("commands")
    texts = map(str, commands if isinstance(commands, list) else [])
    return {
        "file": {"path": str(path), "bytes": len(content),
                 "checksum": "SHA-256, valid" if is_sealed(content) else "none"},
        "model": settings(part(checkpoint, "hyper_parameters")),
        "data": data,
        "normalisation": {name: [round(one, 3) for one in value.flatten().tolist()]
                          for name, value in part(checkpoint, str(data.get("class"))).items()
                          if isinstance(value, Tensor)},
        "state": known({"epoch, from 0": checkpoint.get("epoch"),
                        "steps": checkpoint.get("global_step"),
                        "not finite": not_finite(checkpoint["state_dict"]) or None,
                        "bytes of optimizer": nbytes(checkpoint.get("optimizer_states"))}),
        "metrics": flat(part(checkpoint, "record", "metrics")),
        "made by": known({"command": "; ".join(texts) or None,
                          "lightning": checkpoint.get("pytorch-lightning_version")})
                   | flat(part(checkpoint, "identity", "rounds")),
    }  # fmt: skip


def not_finite(state: Facts) -> str:
    """Return the names of the weights that hold NaN or infinity."""
    tensors = ((name, value) for name, value in state.items() if isinstance(value, Tensor))
    return ", ".join(str(name) for name, value in tensors if not value.isfinite().all())


def nbytes(value: Any) -> int:
    """Return the size in bytes of all tensors in nested lists and dictionaries."""
    if isinstance(value, dict):
        return sum(map(nbytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(nbytes, value))
    return value.nbytes if isinstance(value, Tensor) else 0


def weights(checkpoint: Facts) -> list[Facts]:
    """Return name, shape, type and size of each tensor of the network."""
    return [
        {"tensor": str(name), "shape": list(value.shape), "values": value.numel(),
         "type": str(value.dtype).removeprefix("torch."), "bytes": value.nbytes}
        for name, value in checkpoint["state_dict"].items() if isinstance(value, Tensor)
    ]  # fmt: skip


def printable(value: Any, width: int = sys.maxsize) -> Text:
    """Return a value as text without Rich markup or control characters, wrapped like a path."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = f"{value:,}" if type(value) is int else text
    return Text(wrapped(text if text.isprintable() else repr(text), width))


def show(content: dict[str, Facts], listed: list[Facts]) -> None:
    table = Table(title="checkpoint", show_header=False)
    longest = max(len(name) for facts in content.values() for name in facts)
    width = Console().width - max(map(len, content)) - longest - 10  # borders and padding
    for style in ("bold", None, None):
        table.add_column(style=style, overflow="fold")
    for heading, facts in content.items():
        for i, (name, value) in enumerate(facts.items()):
            shown = printable(value, width)
            table.add_row("" if i else heading, printable(name), shown)
        table.add_section()
    total = {name: sum(one[name] for one in listed) for name in ("values", "bytes")}
    net = Table(title=f"{len(listed)} tensors", show_footer=True)
    net.add_column("tensor", "in all", overflow="fold")
    for name in ("shape", "values", "type", "bytes"):
        net.add_column(name, f"{total[name]:,}" if name in total else "", justify="right")
    for one in listed:
        net.add_row(*(printable(one[str(column.header)]) for column in net.columns))
    Console().print(table, net)


def main(args: Sequence[str] | None = None) -> None:
    options = parse(args)
    with short_errors():
        path = file_of(options.run)
        checkpoint = unpacked(path)
        headings, listed = sections(path, checkpoint), weights(checkpoint)
    if options.json:
        print(json.dumps({**headings, "tensors": listed}, indent=2, default=str))
    else:
        show(headings, listed)


if __name__ == "__main__":
    main()
