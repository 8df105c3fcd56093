"""Benchmarks linenet against a handwritten loop and a Lightning template.

    ./scripts/run bench                                  # everything; updates the README's tables
    ./scripts/run bench epochs --model mnist_lenet       # one comparison
    ./scripts/run bench start memory

Each measurement runs in its own process. In `epochs` and `start` the candidates take turns, so that
other load on the machine slows all of them. `epochs` reports no times unless linenet and the
handwritten loop compute the same losses. The real MNIST files are required. Results are written to
lightning_logs/bench/ with the machine and the versions.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from scripts.bench.measurements import FACTS, MODELS, Measurements, python
from scripts.bench.pages import report, summary
from scripts.shared.options import ToolParser, whole
from scripts.shared.tables import Rows, into_page, markdown
from src.files import write_whole

SECTIONS = ["epochs", "loader", "start", "memory", "safety", "targets", "growth"]
LOGS = Path("lightning_logs", "bench")


def main() -> None:
    arguments = parse()
    results_file = LOGS / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{os.getpid()}.json"
    command = shlex.join(["./scripts/run", "bench", *sys.argv[1:]])
    record = {"command": command, **json.loads(python("-c", FACTS))}
    measured: dict[str, Rows] = {}
    with tempfile.TemporaryDirectory() as folder:
        measurements = Measurements(arguments, Path(folder))
        for section in arguments.sections:
            measured[section] = getattr(measurements, section)()
            print(markdown(measured[section]))
            record["measured"] = measured
            write_whole(results_file, json.dumps(record, indent=2) + "\n")
    print(f"Results: {results_file}")
    if len(sys.argv) == 1:  # the READMEs show the measurements of a default run only
        into_page("scripts/README.md", "bench", report(record))
        into_page("README.md", "speed", summary(record))


def parse() -> argparse.Namespace:
    parser = ToolParser("bench", __doc__)
    choices = f"sections to run, from {', '.join(SECTIONS)};\ndefault all"
    parser.add_argument("sections", nargs="*", default=SECTIONS, metavar="SECTION", help=choices)
    models = f"models to measure, from {', '.join(MODELS)};\ndefault all"
    parser.add_argument(
        "--model", nargs="+", choices=MODELS, default=MODELS, metavar="CONFIG", help=models
    )
    add = parser.add_argument
    add("--accelerator", choices=("cpu", "gpu"), default="cpu", help="default cpu")
    for flag, default, text in (
        ("--batch_size", 100, "images per batch in `epochs`"),
        ("--epochs", 3, "epochs to time after one as warm-up"),
        ("--rounds", 3, "repetitions"),
    ):
        add(flag, type=whole, default=default, metavar="N", help=f"{text}; default {default}")
    arguments = parser.parse_args()
    parser.check_known("section", arguments.sections, SECTIONS)
    parser.check_mnist()
    return arguments


if __name__ == "__main__":
    main()
