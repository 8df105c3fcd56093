"""The options of `compare`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.shared.options import ToolParser

REPEATED: dict[str, Any] = {"action": "append", "default": []}
FILE: dict[str, Any] = {"type": Path, "metavar": "FILE"}
OPTIONS: dict[str, dict[str, Any]] = {
    "folders": {
        "nargs": "*", "default": ["lightning_logs"],
        "help": "folders or patterns, searched recursively for runs;\ndefault lightning_logs",
    },
    "--where": REPEATED | {
        "metavar": "KEY=VALUE",
        "help": "only runs with this setting, e.g. lr=0.1, model.hidden=[64], seed=0 or\n"
        "config=mnist_mlp; can be repeated",
    },
    "--tag": REPEATED | {
        "metavar": "NAME",
        "help": "only runs with this tag, given by fit --tag NAME; can be repeated",
    },
    "--against": REPEATED | {
        "metavar": "KEY=VALUE",
        "help": "compare every row with the one that has this setting, e.g. optimizer=SGD;\n"
        "can be repeated; default the best by validation",
    },
    "--sort": {
        "metavar": "NAME",
        "help": "sort by a metric, seconds, parameters or a setting: accuracies\n"
        "descending, all others ascending; default the first metric shown",
    },
    "--metrics": {
        "metavar": "NAME,...",
        "help": "metrics to show; default test accuracy (or mse), test loss\n"
        "and validation accuracy (or mse)",
    },
    "--curve": {
        "metavar": "NAME", "help": "curve to plot; default val/acc, else val/loss",
    },
    "--picture": FILE | {
        "default": Path("lightning_logs/compare.png"),
        "help": "PNG file of the plotted curves; default %(default)s;\n"
        "the scores of the seeds are beside it, in compare-seeds.png",
    },
    "--csv": FILE | {"help": "write the table with unrounded numbers"},
    "--html": FILE | {"help": "write an HTML page with table and picture"},
}  # fmt: skip


def parse(words: Sequence[str] | None, text: str | None) -> argparse.Namespace:
    """Return the options.

    Args:
        words: The command line.
        text: What `--help` says first.
    """
    parser = ToolParser("compare", text)
    for name, options in OPTIONS.items():
        parser.add_argument(name, **options)
    return parser.parse_intermixed_args(words)
