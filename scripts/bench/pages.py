"""The tables of the benchmark for the README files."""

from typing import Any

from scripts.shared.tables import circumstances, markdown

TO_ACCURACY = """Test accuracy by number of epochs with `configs/with/fast.yaml`, three seeds.
Goals: 97 % in 2 s of training with `mnist_relu_mlp`, and 99 % in 5 s with `mnist_lenet`.
"""
GROWTH = """`mnist_relu_mlp` with growing training sets, where the goal was equal time per sample
within 10 %, and with growing batch sizes:
"""
SAFETY = """Cost of per-step seeds, of the checks for NaN and signals, and of atomic checkpoints.
The goals were at most 1 % of the time of fit, and 50 ms per checkpoint:
"""


def summary(record: dict[str, Any]) -> str:
    """Return the table of the front page: an epoch beside a loop by hand and the usual template."""
    rows = [
        {
            "an epoch of": f"`{row['seconds per epoch']}`",
            "linenet, s": row["linenet"],
            "linenet / loop by hand": row["linenet / plain"],
            "usual template / linenet": row["template / linenet"],
        }
        for row in record["measured"]["epochs"]
    ]
    return f"{markdown(rows)}\n{caption(record)}\n"


def caption(record: dict[str, Any]) -> str:
    return f"Measured by `{record['command']}`; {circumstances(record)}."


def report(record: dict[str, Any]) -> str:
    """Return the README's section: all tables with captions, the machine and the versions."""
    measured = record["measured"]
    singles = [*measured["loader"], *measured["start"], *measured["memory"]]
    return "\n".join([
        markdown(measured["epochs"]), markdown(singles), TO_ACCURACY, markdown(measured["targets"]),
        GROWTH, markdown(measured["growth"]), SAFETY, markdown(measured["safety"]),
        f"{caption(record)}\n",
    ])  # fmt: skip
