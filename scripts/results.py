"""Trains every config with several seeds and updates the README's results.

    ./scripts/run results --seeds 3
    ./scripts/run results --seeds 3 mnist_logistic mnist_lenet

Existing runs are reused; after a change of code or config, remove lightning_logs/results first.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from jsonargparse.typing import PositiveInt

from scripts.shared.options import ToolParser
from scripts.shared.tables import PROJECT, circumstances, into_page
from src.progress_bar import with_bar

LOGS = Path("lightning_logs", "results")
LADDER = [
    "line", "line_noisy", "regression_mlp", "mnist_logistic", "mnist_sigmoid_mlp",
    "mnist_relu_mlp", "mnist_mlp", "mnist_lenet", "cifar10_lenet", "noise_lenet",
]  # fmt: skip
Results = dict[str, Any]


def train(config: str, seed: int, logs: Path = LOGS) -> Results:
    """Return the results of a config with a seed, from an existing run or a new one."""
    done = runs_of(config, logs).get(seed)
    if done:
        return done
    config_file = PROJECT / "configs" / f"{config}.yaml"
    words = ["--config", str(config_file), "--trainer.logger.save_dir", str(logs)]
    command = [sys.executable, "-m", "src.cli", "fit", *words, "--seed_everything", str(seed)]
    if config.startswith("mnist"):
        command += ["--data.source", "mnist"]  # never scikit-learn's digits instead
    log = subprocess.run(command, capture_output=True, text=True, check=False)
    if log.returncode:
        raise SystemExit(f"error: {config} with seed {seed} failed:\n{log.stderr[-500:]}")
    return runs_of(config, logs)[seed]


def runs_of(config: str, logs: Path) -> dict[int, Results]:
    """Return the results of existing runs, by seed."""
    found = [json.loads(path.read_text()) for path in logs.glob(f"{config}/*/results.json")]
    return {results["seed"]: results for results in found if results["epochs"]}


def row(config: str, runs: list[Results]) -> str:
    """Return the table row of a config's runs."""
    name = "test/acc" if "test/acc" in runs[0]["metrics"] else "test/mse"
    scores = [run["metrics"][name] for run in runs]
    scale, form, unit = (100, ".2f", "%") if name == "test/acc" else (1, ".4f", "mse")
    spread = f" ± {scale * stdev(scores):{form}}" if len(scores) > 1 else ""
    score = f"{scale * mean(scores):{form}}{spread} {unit}"
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
    parser.add_argument("--seeds", type=PositiveInt, default=3, metavar="N", help=text)
    arguments = parser.parse_args()
    parser.check_known("config", arguments.configs, LADDER)
    pairs = [(config, seed) for seed in range(arguments.seeds) for config in arguments.configs]
    runs = [(config, train(config, seed)) for config, seed in with_bar(pairs, "Training")]
    rows = [row(c, [run for name, run in runs if name == c]) for c in arguments.configs]
    head = "| config | test | epochs | seconds | parameters |\n|---|---|---|---|---|\n"
    table = head + "\n".join(rows) + "\n\n" + caption([run for _, run in runs]) + "\n"
    print(table)
    if arguments.configs == LADDER:
        into_page("README.md", "results", table)


if __name__ == "__main__":
    main()
