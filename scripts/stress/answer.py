"""The answer of a stress test: tables, picture, page, and `stress.json` for programs."""

import json
from collections.abc import Sequence
from pathlib import Path

from scripts.many.page import page, warning_of
from scripts.shared.trained import Trained
from scripts.stress import tables
from scripts.stress.material import Material
from scripts.stress.measure import EPSILONS, Measured, Record
from scripts.stress.pictures import drawn
from src.data.corruptions import CORRUPTIONS
from src.files import write_whole

NOTES = [
    ("corruptions", "Hendrycks and Dietterich, ICLR 2019; for digits: Mu and Gilmer, MNIST-C, 2019;"
     " pens: Castro et al., Morpho-MNIST, 2019. The strengths are those of this project. Every run"
     " gets the same images, and met none of the corruptions in its training unless its settings"
     " augment."),
    ("attack", "the fast gradient sign method on the run's own loss (Goodfellow et al., ICLR 2015);"
     " for cross-entropy its sign is taken of the log-odds, which do not vanish where a network is"
     " sure. Stronger attacks exist: what this one does not fool is not safe."),
    ("calibration", "Guo et al., ICML 2017: the temperature is fitted on the validation set. ECE:"
     " 15 bins; NLL: the mean of -log of the probability of the true class."),
    ("AUROC", "how often a test image gets more confidence than a strange one; 0.5 is chance"
     " (Hendrycks and Gimpel, ICLR 2017). Noise is uniform. Letters are printed ones, of the DejaVu"
     " fonts, without those that look like digits: a substitute for handwritten ones (EMNIST)."),
]  # fmt: skip
USE = "used here to describe, never to choose: a choice by these figures needs other test images"


def answer(
    folder: Path, runs: Sequence[Trained], found: Sequence[Measured], on: Material, command: str
) -> None:
    """Print the tables, and write stress.json, stress.png and stress.html into a folder.

    Args:
        folder: The folder.
        runs: The runs.
        found: What was measured for each of them.
        on: The images.
        command: The command that repeats it.
    """
    records, pictures = [one.record for one in found], drawn(runs, found, on)
    shown = sections(records)
    source = f"{len(on.y):,} test images, {on.data.source}"
    exact = 100 * 0.98 / len(on.y) ** 0.5  # 1.96 standard errors of one half
    about = [["what", "how"], ["test set", f"{source}; {USE}"], *map(list, NOTES)]
    about.append(["precision", f"the 95 % interval of an accuracy is at most ± {exact:.2f} points"])
    about += [["skipped", text] for text in on.skipped]
    title = "Stress test of " + ", ".join(tables.labels(records))
    files = {
        "stress.json": json.dumps(content(records, on, source, command), indent=2) + "\n",
        "stress.png": next(iter(pictures.values())),
        "stress.html": page(title, verdict(records), pictures | shown | {"About": about}, command,
                            warning_of(source)),
    }  # fmt: skip
    for name, text in files.items():
        write_whole(folder / name, text)
    for heading, rows in [*shown.items()][: 2 if len(runs) > 1 else None]:
        tables.show(heading, rows)
    print(*on.skipped, f"{source}; {USE}", f"page     {folder / 'stress.html'}", sep="\n")


def sections(records: Sequence[Record]) -> dict[str, tables.Rows]:
    """Return the tables by their headings."""
    sure = {"How sure, and how rightly so": tables.certainty(records)}
    each = {
        f"{name}, by strength": tables.by_strength(record)
        for name, record in zip(tables.labels(records), records, strict=True)
    }
    if len(records) == 1:
        return each | sure
    return {"Means over five strengths": tables.side_by_side(records)} | sure | each


def verdict(records: Sequence[Record]) -> str:
    """Return the accuracy under corruption in a line, from the best run on."""
    pairs = zip(tables.labels(records), map(tables.under_corruption, records), strict=True)
    ranked = sorted(pairs, key=lambda pair: -pair[1])
    return "Right under corruption: " + ", ".join(f"{n} {100 * share:.1f} %" for n, share in ranked)


def content(records: Sequence[Record], on: Material, source: str, command: str) -> Record:
    """Return the content of stress.json."""
    amounts = {name: CORRUPTIONS[name].amounts for name in on.corruptions}
    return {
        "command": command,
        "test_set": {"source": source, "samples": len(on.y), "use": USE},
        "skipped": on.skipped,
        "amounts": {**amounts, "attack": EPSILONS},
        "runs": records,
    }  # fmt: skip
