"""Injects faults into linenet and counts how often it handles them.

    ./scripts/run faults                       # everything, half an hour; updates the READMEs
    ./scripts/run faults kills --tries 20      # one section with a given number of tries
    ./scripts/run faults signals --readme      # the last section of those run one by one

`kills`, `writes` and `signals` interrupt real runs of five configs, at random moments or at a given
point of writing a file, resume them, and compare weights, optimizer, curves and metrics bit by bit
with an uninterrupted run. The real MNIST files are required. Results and all failures are written
to lightning_logs/faults/ with the machine and the versions.
"""

import argparse
import json
import logging
import os
import shlex
import sys
import tempfile
import warnings
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
import torch

from scripts.faults.commands import all_typos, build_parsers, count
from scripts.faults.data import fuzz_idx
from scripts.faults.flips import checkpoints, cut_short, flipped
from scripts.faults.kills import (
    CUTS,
    RUNS,
    Cut,
    Fault,
    Subject,
    cut_off,
    killed,
    killed_writing,
    signalled,
)
from scripts.faults.processes import evaluated, forced, together
from scripts.shared.options import ToolParser, whole
from scripts.shared.tables import circumstances, into_page, markdown, mnist_files
from src.files import write_whole
from src.progress_bar import with_bar
from src.runs.code_state import git_state
from src.runs.provenance import device_name, versions

Row = dict[str, Any]
TRIES = {"kills": 200, "writes": 60, "signals": 200, "flips": 10_000, "files": 10_000}
FRONT = ["kills", "signals", "flips", "typos"]  # on the front page
SECTIONS = [*TRIES, "typos", "processes", "runs"]
LOGS = Path("lightning_logs", "faults")


class Faults:
    """The sections: each method injects faults and returns the rows of its table.

    Args:
        folder: Folder for the runs and files.
        tries: Number of tries per section; None for those of `TRIES`.
        seed: Seed of the random moments and positions.
    """

    def __init__(self, folder: Path, tries: int | None, seed: int) -> None:
        self.folder, self.tries, self.seed = folder, tries, seed
        self.failures: list[str] = []
        self._subjects: list[Subject] = []

    def kills(self) -> list[Row]:
        cuts = self._cuts("kills", killed(Random(self.seed)))
        worst = f"up to {CUTS} per run"
        return [self._row("kill -9 at a random moment", [*map(failure, cuts)], worst)]

    def writes(self) -> list[Row]:
        cuts = self._cuts("writes", killed_writing(Random(self.seed)))
        return [
            self._row("kill -9 at a point of writing a file", [*map(failure, cuts)], "6 points")
        ]

    def signals(self) -> list[Row]:
        cuts = self._cuts("signals", signalled(Random(self.seed)))
        seconds = f"exit within {max(cut.seconds for cut in cuts):.2f} s"
        return [self._row("Ctrl-C, SIGTERM or SIGHUP", [*map(failure, cuts)], seconds)]

    def flips(self) -> list[Row]:
        paths, tries = checkpoints(self.folder / "flips"), self._tries("flips")
        found = flipped(paths, Random(self.seed))
        ends = [next(found) for _ in with_bar(range(tries), "flips")]
        return [
            self._row("a flipped bit in a checkpoint", ends, "detected, or no value changes"),
            self._row("a truncated checkpoint", [*cut_short(paths)], "refused by name"),
        ]

    def files(self) -> list[Row]:
        fuzz = fuzz_idx(self._tries("files"), self.seed)
        self.failures += fuzz.faults
        slowest = f"{1000 * fuzz.worst:.0f} ms"
        name = "a damaged IDX file, md5 off and on"
        return [as_row(name, fuzz.tries, fuzz.handled, slowest)]

    def typos(self) -> list[Row]:
        parser, fit = build_parsers()
        counts = count(parser, fit, all_typos(fit))
        self.failures += counts.failures
        worst = f"right key suggested {counts.suggested:,} times"
        name = "a typo in a key of a shipped config"
        return [as_row(name, counts.typos, counts.refused, worst)]

    def processes(self) -> list[Row]:
        name = "a test set of 1 to 203 images on 1 to 4 processes"
        ends = [*evaluated(self.folder / "processes", mnist_files().parents[1])]
        return [self._row(name, ends, "metrics within 1e-6, each image once")]

    def runs(self) -> list[Row]:
        apart, one = [*together(self.folder / "runs")], [*forced(self.folder / "forced")]
        return [
            self._row("runs started at once", apart, "one folder per run"),
            self._row("runs forced into one folder", one, "one runs, the others name it"),
        ]

    def _cuts(self, name: str, faults: Iterator[Fault]) -> list[Cut]:
        """Interrupt the runs as often as the section asks."""
        self._subjects = self._subjects or [
            Subject(config, self.folder / config) for config in with_bar(RUNS, "uninterrupted runs")
        ]
        cuts = cut_off(faults, self._subjects, self.folder / name)
        tries = self._tries(name)
        return [*with_bar(islice(cuts, tries), name, total=tries)]

    def _tries(self, name: str) -> int:
        return self.tries or TRIES[name]

    def _row(self, fault: str, ends: list[str | None], worst: str) -> Row:
        failed = [end for end in ends if end]
        self.failures += failed
        handled = len(ends) - len(failed)
        return as_row(fault, len(ends), handled, worst)


def as_row(fault: str, tries: int, handled: int, worst: str) -> Row:
    return {"fault": fault, "tries": tries, "handled": handled, "worst case": worst}


def failure(cut: Cut) -> str | None:
    """Return what went wrong with an interrupted run, or None."""
    return None if cut.handled else "; ".join(cut.faults[:3])


def main() -> None:
    parser = ToolParser("faults", __doc__)
    choices = f"sections to run, from {', '.join(SECTIONS)};\ndefault all"
    parser.add_argument("sections", nargs="*", default=SECTIONS, metavar="SECTION", help=choices)
    defaults = ", ".join(f"{name} {number:,}" for name, number in TRIES.items())
    tries = f"number of tries; default {defaults};\nthe other sections have a fixed number"
    parser.add_argument("--tries", type=whole, metavar="N", help=tries)
    text = "also update the READMEs, from the newest results of each section at this commit"
    parser.add_argument("--readme", action="store_true", help=text)
    seed = "seed of the random moments and positions; default 0"
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=seed)
    arguments = parser.parse_args()
    parser.check_known("section", arguments.sections, SECTIONS)
    parser.check_mnist()
    warnings.filterwarnings("ignore")  # each run logs its own
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # resumed runs replace old steps
    os.environ["DATA_DIR"] = str(mnist_files().parents[1].resolve())
    sys.exit(1 if run(arguments) else 0)


def run(arguments: argparse.Namespace) -> list[str]:
    """Run the sections, print and write their tables, and return the failures."""
    results_file = LOGS / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{os.getpid()}.json"
    command = shlex.join(["./scripts/run", "faults", *sys.argv[1:]])
    facts = {"device": device_name(torch.device("cpu")), "versions": versions(), "git": git_state()}
    done: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(Path(folder), arguments.tries, arguments.seed)
        for section in arguments.sections:
            done[section] = getattr(faults, section)()
            record = {"command": command, **facts, "sections": done, "failures": faults.failures}
            write_whole(results_file, json.dumps(record, indent=2) + "\n")
            print(markdown(done[section]))
    print(*faults.failures[:10], f"Results: {results_file}", sep="\n")
    if arguments.readme or len(sys.argv) == 1:
        write_pages(record)
    return faults.failures


def write_pages(record: dict[str, Any]) -> None:
    """Write the tables of the READMEs, from the newest results of each section at one commit."""
    records = [json.loads(path.read_text()) for path in sorted(LOGS.glob("*.json"))]
    same = [one for one in records if one["git"] == record["git"]]
    newest = {name: rows for one in same for name, rows in one["sections"].items()}
    if missing := [name for name in SECTIONS if name not in newest]:
        print(f"The READMEs are unchanged: not run at this commit: {', '.join(missing)}.")
        return
    whole = {**record, "sections": {name: newest[name] for name in SECTIONS}}
    into_page("tests/README.md", "faults", report(whole))
    into_page("README.md", "trust", summary(whole))


def report(record: dict[str, Any]) -> str:
    """Return the table of tests/README.md, with the machine."""
    rows = [
        {k: f"{v:,}" if isinstance(v, int) else v for k, v in row.items()}
        for found in record["sections"].values()
        for row in found
    ]
    return f"{markdown(rows)}\nMeasured by `./scripts/run faults`; {circumstances(record)}.\n"


def summary(record: dict[str, Any]) -> str:
    """Return the table of the front page: how many faults of the main kinds were handled."""
    rows = [row for name in FRONT for row in record["sections"][name]]
    return markdown([
        {"injected fault": row["fault"], "handled": f"{row['handled']:,} of {row['tries']:,}"}
        for row in rows
    ])  # fmt: skip


if __name__ == "__main__":
    main()
