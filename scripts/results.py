"""Trains every config with several seeds and updates the README's results.

    ./scripts/run results --seeds 3
    ./scripts/run results --seeds 3 mnist_logistic mnist_lenet

Existing runs of the same settings are reused: after a change of code, remove
lightning_logs/results.
"""

from contextlib import ExitStack
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scripts.many.groups import open_group
from scripts.many.numbers import shown
from scripts.seeds.training import check, name_of, train
from scripts.shared.options import ToolParser, whole
from scripts.shared.tables import PROJECT, circumstances, into_page
from src.command.failures import short_errors
from src.runs.results import read_results

LOGS = Path("lightning_logs", "results")
LADDER = [
    "line", "line_noisy", "regression_mlp", "mnist_logistic", "mnist_sigmoid_mlp",
    "mnist_relu_mlp", "mnist_mlp", "mnist_lenet", "cifar10_lenet", "noise_lenet",
]  # fmt: skip
Results = dict[str, Any]


def trained(config: str, seeds: int, logs: Path = LOGS) -> list[Results]:
    """Return the results of a config for each seed, from existing runs or new ones.

    One run at a time, since their seconds are shown.
    """
    words = ["--config", str(PROJECT / "configs" / f"{config}.yaml")]
    words += ["--trainer.default_root_dir", str(logs)]
    if config.startswith("mnist"):
        words += ["--data.source", "mnist"]  # never scikit-learn's digits instead
    with short_errors(), ExitStack() as stack:
        group = open_group("seeds", words, {}, stack)
        train(group, range(seeds), jobs=1)
        check(group, range(seeds))
    return [read_results(group.run_folder(name_of(seed))) or {} for seed in range(seeds)]


def row(config: str, runs: list[Results]) -> str:
    """Return the table row of a config's runs."""
    name = "test/acc" if "test/acc" in runs[0]["metrics"] else "test/mse"
    scores = [run["metrics"][name] for run in runs]
    spread = stdev(scores) if len(scores) > 1 else None
    score = shown(name, mean(scores), spread) + " mse" * (name == "test/mse")
    seconds = mean(run["seconds"]["fit"] for run in runs)
    parameters, epochs = runs[0]["parameters"], runs[0]["epochs"]
    return f"| `{config}.yaml` | {score} | {epochs} | {seconds:.0f} | {parameters:,} |"


def caption(runs: list[Results]) -> str:
    """Return the line below the table: number of seeds, device, versions and commit."""
    seeds = len({run["seed"] for run in runs})
    over = f"{seeds} seed" if seeds == 1 else f"{seeds} seeds"
    return f"Mean ± standard deviation over {over}; {circumstances(runs[0])}."


def main() -> None:
    parser = ToolParser("results", __doc__)
    configs = f"configs to train, from {', '.join(LADDER)};\ndefault all"
    parser.add_argument("configs", nargs="*", default=LADDER, metavar="CONFIG", help=configs)
    text = "number of seeds, from 0; default 3"
    parser.add_argument("--seeds", type=whole, default=3, metavar="N", help=text)
    arguments = parser.parse_args()
    parser.check_known("config", arguments.configs, LADDER)
    runs = {config: trained(config, arguments.seeds) for config in arguments.configs}
    rows = [row(config, found) for config, found in runs.items()]
    head = "| config | test | epochs | seconds | parameters |\n|---|---|---|---|---|\n"
    table = head + "\n".join(rows) + "\n\n" + caption(next(iter(runs.values()))) + "\n"
    print(table)
    if arguments.configs == LADDER:
        into_page("README.md", "results", table)


if __name__ == "__main__":
    main()
