"""Tables of a stress test, the same in the terminal and on the page."""

from collections import Counter
from collections.abc import Sequence
from statistics import mean

from rich.console import Console
from rich.table import Table

from scripts.stress.measure import ATTACK, EPSILONS, Record
from src.data.corruptions import CORRUPTIONS

Rows = list[list[str]]
CLEAN = "as is"


def labels(records: Sequence[Record]) -> list[str]:
    """Return a short name of each run: its config, and its version if the config is not alone."""
    configs = Counter(record["run"].split("/")[0] for record in records)
    return [r["run"] if configs[r["run"].split("/")[0]] > 1 else r["run"].split("/")[0]
            for r in records]  # fmt: skip


def amounts(name: str) -> list[str]:
    """Return the five strengths of a corruption or of the attack as text."""
    if name == ATTACK:
        return [f"ε {epsilon:g}" for epsilon in EPSILONS]
    return [CORRUPTIONS[name].unit.format(amount) for amount in CORRUPTIONS[name].amounts]


def by_strength(record: Record) -> Rows:
    """Return the accuracies of a run: a row for each corruption, a column for each strength."""
    rows = [["accuracy, %", *"12345", "mean"]]
    for name, found in record["under"].items():
        rows.append([name, *map(percent, found["acc"]), percent(mean(found["acc"]))])
    return [*rows, [CLEAN, *[""] * 5, percent(record["acc"])]]


def under_corruption(record: Record) -> float:
    """Return the mean accuracy over all corruptions and strengths, without the attack."""
    return mean(mean(found["acc"]) for name, found in record["under"].items() if name != ATTACK)


def side_by_side(records: Sequence[Record]) -> Rows:
    """Return the accuracies of several runs, as means over the five strengths."""
    rows = [["accuracy, %", *labels(records)], [CLEAN, *(percent(r["acc"]) for r in records)]]
    for name in records[0]["under"]:
        rows.append([name, *(percent(mean(r["under"][name]["acc"])) for r in records)])
    means = ["all corruptions", *(percent(under_corruption(r)) for r in records)]
    return [*rows, means]


def certainty(records: Sequence[Record]) -> Rows:
    """Return calibration, and how well confidence tells known images from strange ones."""
    rows = [["certainty", *labels(records)]]
    calibrations = [record["calibration"] for record in records]
    for when in ("before", "after"):
        found = [one.get(when) for one in calibrations]
        rows.append([f"ECE {when}, %", *(percent(f["ece"]) if f else "" for f in found)])
        rows.append([f"NLL {when}", *(f"{f['nll']:.4f}" if f else "" for f in found)])
    temperatures = [one.get("temperature") for one in calibrations]
    rows.append(["temperature", *(f"{t:.3f}" if t else "" for t in temperatures)])
    for name in records[0]["strange"]:
        found = [record["strange"][name] for record in records]
        rows.append([f"AUROC, {name}", *(f"{one['auroc']:.4f}" for one in found)])
        rows.append([f"sure of {name}, %", *(percent(one["confidence"]) for one in found)])
    return rows


def percent(share: float) -> str:
    return f"{100 * share:.2f}"


def show(title: str, rows: Rows) -> None:
    """Print a table whose first row has the names of the columns."""
    table = Table(title=title)
    first, *names = rows[0]
    families = {name.partition("_")[0] for name in names}
    if len(names) > 1 and len(families) == 1:  # all are mnist_, for example
        names = [name.partition("_")[2] or name for name in names]
    for i, head in enumerate([first, *names]):
        table.add_column(head, justify="right" if i else "left", overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    Console().print(table)
