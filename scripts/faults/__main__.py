"""Does to linenet what goes wrong in practice, and counts how often it holds.

    ./scripts/run faults                       # all of it, half an hour, and the README's table
    ./scripts/run faults kills --tries 20      # one section, more or less often

`kills`, `writes` and `signals` cut real runs of five configs off, at random moments or at a given
point of the writing of a file, go on with them, and compare weights, optimizer, curves and metrics
bit by bit with a run that was left alone. The real MNIST files are needed. All figures and every
failure go to lightning_logs/faults/, with machine and versions.
"""

import argparse
import json
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
from rich.progress import track

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
from scripts.shared.tables import into_page, markdown, mnist_files
from src.files import write_whole
from src.runs.provenance import device_name, git_state, versions

Row = dict[str, Any]
TRIES = {"kills": 200, "writes": 60, "signals": 200, "flips": 10_000, "files": 10_000,
         "typos": 0, "processes": 0, "runs": 0}  # fmt: skip
LOGS = Path("lightning_logs", "faults")


class Faults:
    """A section each: what is done, how often, how often it held, and the worst case.

    Args:
        folder: Where to do it.
        tries: How often, where that can be chosen; otherwise as in `TRIES`.
        seed: Of moments and places.
    """

    def __init__(self, folder: Path, tries: int | None, seed: int) -> None:
        self.folder, self.tries, self.seed = folder, tries, seed
        self.failures: list[str] = []
        self._subjects: list[Subject] = []

    def kills(self) -> list[Row]:
        cuts = self._cuts("kills", killed(Random(self.seed)))
        worst = f"up to {CUTS} in a run"
        return [self._row("kill -9 at a random moment", [*map(said, cuts)], worst)]

    def writes(self) -> list[Row]:
        cuts = self._cuts("writes", killed_writing(Random(self.seed)))
        return [self._row("kill -9 at a point of writing a file", [*map(said, cuts)], "6 points")]

    def signals(self) -> list[Row]:
        cuts = self._cuts("signals", signalled(Random(self.seed)))
        seconds = f"gone after {max(cut.seconds for cut in cuts):.2f} s"
        return [self._row("Ctrl-C, SIGTERM or SIGHUP", [*map(said, cuts)], seconds)]

    def flips(self) -> list[Row]:
        paths, tries = checkpoints(self.folder / "flips"), self._tries("flips")
        found = flipped(paths, Random(self.seed))
        ends = [next(found) for _ in track(range(tries), "flips", transient=True)]
        return [
            self._row("a wrong bit in a checkpoint", ends, "found, or no value depends on it"),
            self._row("a checkpoint cut short", [*cut_short(paths)], "named and refused"),
        ]

    def files(self) -> list[Row]:
        fuzz = fuzz_idx(self._tries("files"), self.seed)
        self.failures += fuzz.faults
        slowest = f"{1000 * fuzz.worst:.0f} ms"
        name = "a damaged IDX file, md5 off and on"
        return [{"fault": name, "tries": fuzz.tries, "held": fuzz.held, "worst case": slowest}]

    def typos(self) -> list[Row]:
        parser, fit = build_parsers()
        counts = count(parser, fit, all_typos(fit))
        self.failures += counts.failures
        worst = f"the right key named {counts.suggested:,} times"
        name = "a typo in a key of a shipped config"
        return [{"fault": name, "tries": counts.typos, "held": counts.refused, "worst case": worst}]

    def processes(self) -> list[Row]:
        name = "a test set of 1 to 203 images on 1 to 4 processes"
        ends = [*evaluated(self.folder / "processes", mnist_files().parents[1])]
        return [self._row(name, ends, "metrics within 1e-6, each image once")]

    def runs(self) -> list[Row]:
        apart, one = [*together(self.folder / "runs")], [*forced(self.folder / "forced")]
        return [
            self._row("runs started at once", apart, "a folder each"),
            self._row("runs forced into one folder", one, "one runs, the others name it"),
        ]

    def _cuts(self, name: str, faults: Iterator[Fault]) -> list[Cut]:
        """Cut off runs so many times."""
        self._subjects = self._subjects or [
            Subject(config, self.folder / config) for config in track(RUNS, "whole runs")
        ]
        cuts = cut_off(faults, self._subjects, self.folder / name)
        tries = self._tries(name)
        return [*track(islice(cuts, tries), name, total=tries, transient=True)]

    def _tries(self, name: str) -> int:
        return self.tries or TRIES[name]

    def _row(self, fault: str, ends: list[str | None], worst: str) -> Row:
        failed = [end for end in ends if end]
        self.failures += failed
        held = len(ends) - len(failed)
        return {"fault": fault, "tries": len(ends), "held": held, "worst case": worst}


def said(cut: Cut) -> str | None:
    """Return what went wrong with a run that was cut off, if anything did."""
    return None if cut.held else "; ".join(cut.faults[:3])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    known = f"of {', '.join(TRIES)}; all by default"
    parser.add_argument("sections", nargs="*", default=[*TRIES], help=known)
    parser.add_argument("--tries", type=int, help=f"by default {TRIES}, 0 being a fixed number")
    text = "write the README's table from the newest figures of each section, too"
    parser.add_argument("--readme", action="store_true", help=text)
    parser.add_argument("--seed", type=int, default=0, help="of moments and places; 0")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(TRIES):
        parser.error(f"no section {unknown.pop()}; there are {', '.join(TRIES)}")
    if not (mnist_files() / "train-images-idx3-ubyte").is_file():
        parser.error(f"MNIST is not in {mnist_files()}; DATA_DIR is the folder of MNIST/raw.")
    warnings.filterwarnings("ignore")  # runs write theirs to a file
    os.environ["DATA_DIR"] = str(mnist_files().parents[1].resolve())
    sys.exit(1 if run(arguments) else 0)


def run(arguments: argparse.Namespace) -> list[str]:
    """Run the sections, print and write the table, and return the failures."""
    figures = LOGS / f"{datetime.now():%Y-%m-%dT%H-%M-%S}.json"
    command = shlex.join(["./scripts/run", "faults", *sys.argv[1:]])
    facts = {"device": device_name(torch.device("cpu")), "versions": versions(), "git": git_state()}
    done: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(Path(folder), arguments.tries, arguments.seed)
        for section in arguments.sections:
            done[section] = getattr(faults, section)()
            record = {"command": command, **facts, "sections": done, "failures": faults.failures}
            write_whole(figures, json.dumps(record, indent=2) + "\n")
            print(markdown(done[section]))
    print(*faults.failures[:10], f"All figures: {figures}", sep="\n")
    if len(sys.argv) == 1 or arguments.readme:
        into_page("tests/README.md", "faults", report(record))
    return faults.failures


def report(record: dict[str, Any]) -> str:
    """Return the newest figures of every section, and on what they were measured."""
    records = [json.loads(path.read_text()) for path in sorted(LOGS.glob("*.json"))]
    newest = {name: rows for one in records for name, rows in one["sections"].items()}
    rows = [
        {k: f"{v:,}" if isinstance(v, int) else v for k, v in row.items()}
        for section in TRIES
        for row in newest.get(section, [])
    ]
    used = f"torch {record['versions']['torch']}, lightning {record['versions']['lightning']}"
    used += f"; {(record['git'] or {}).get('commit', 'no commit')[:9]}"
    return f"{markdown(rows)}\nMeasured by `./scripts/run faults`; {record['device']}; {used}.\n"


if __name__ == "__main__":
    main()
