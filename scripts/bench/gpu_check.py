"""Checks and times linenet on a GPU, in about four minutes.

    python -m scripts.bench.gpu_check

1. the tests for a GPU; 2. the losses of 50 steps beside those of the CPU; 3. equal bits: twice, and
after kill -9 and --resume; 4. seconds an epoch beside the captured bare step, a plain loop and a
template; 5. seconds of training to 99 % with `configs/with/fast.yaml`, ten seeds; 6. seconds an
epoch of 32 seeds that are trained together, beside one. Results are printed, and written to
lightning_logs/gpu_check.json. A part that fails is told, the others go on.
With `--accelerator cpu` the script itself can be tried where there is no GPU.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from statistics import mean, median, stdev
from tempfile import TemporaryDirectory
from typing import Any

import src.libraries  # noqa: F401  (first)

# isort: split
import torch

from scripts.bench.contenders import captured, plain
from scripts.bench.measurements import FACTS, MODELS
from scripts.bench.task import Task
from scripts.bench.template import template
from scripts.faults.runs import content
from scripts.seeds.together import train_together
from scripts.shared.tables import PROJECT
from src.cli import main as linenet
from src.files import write_whole
from src.runs.curves import read_curves
from src.runs.results import read_results

STEPS = 50  # whose losses are compared
EPOCHS = 4  # the first one is not counted
SEEDS, TOGETHER = 10, 32
OFTEN = (  # resume points every twentieth of a second
    "import runpy, src.libraries, src.callbacks.resume_points as points;"
    "points.SECONDS, points.SHARE = 0.05, 0;"
    "runpy.run_module('src.cli', run_name='__main__')"
)
RESULTS = Path("lightning_logs", "gpu_check.json")


class Check:
    """The parts of the check; each returns what it has measured.

    Args:
        accelerator: Where to train.
        folder: Folder for the runs.
    """

    def __init__(self, accelerator: str, folder: Path) -> None:
        self.accelerator, self.folder = accelerator, folder

    def tests(self) -> str:
        """Run the tests for a GPU; return pytest's last line."""
        words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "gpu", "tests"]
        done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
        return (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1]

    def losses(self) -> dict[str, float]:
        """Return the largest difference from the CPU among the losses of the first steps."""
        words = [f"--trainer.max_steps={STEPS}", "--trainer.log_every_n_steps=1"]
        found = {}
        for model in MODELS:
            ours, cpu = (
                self._losses(self.fit(model, *words, accelerator=one))
                for one in (self.accelerator, "cpu")
            )
            found[model] = max(abs(a - b) for a, b in zip(ours, cpu, strict=True))
        return found

    def bits(self) -> dict[str, bool]:
        """Return whether a run of LeNet is equal when made again, and when killed and resumed."""
        words = ["--trainer.max_epochs=2", "--data.train_size=20000"]
        first, again = (content(best(self.fit("mnist_lenet", *words))) for _ in range(2))
        killed = self._killed(words)
        late = max(path.name for path in killed.glob("checkpoints/resume-*.ckpt"))
        linenet(["fit", "--resume", str(killed)])
        within = not late.startswith("resume-step00000000")
        equal = same(first, content(best(killed)))
        return {"twice": same(first, again), "killed": equal, "resumed within": within}

    def epochs(self) -> dict[str, dict[str, float]]:
        """Return the median seconds of an epoch, by model."""
        rows = {}
        for model in MODELS:
            run = self.fit(model, f"--trainer.max_epochs={EPOCHS}")
            times = {"linenet": (read_results(run) or {})["seconds"]["epoch"]}
            loops: dict[str, Callable[..., Any]] = {"plain": plain}
            loops |= {"captured": captured} if self.accelerator == "gpu" else {}
            loops |= {"template": template} if model == "mnist_lenet" else {}
            for name, loop in loops.items():
                task = Task(PROJECT / f"configs/{model}.yaml", 100, self.accelerator)
                with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                    count = 2 if name == "template" else EPOCHS
                    times[name] = median([*loop(task, count)][1:])
            rows[model] = times | ratios(times)
        return rows

    def target(self) -> dict[str, float]:
        """Return test accuracy and seconds of training of LeNet with fast.yaml."""
        fast = ["--config", str(PROJECT / "configs/with/fast.yaml")]
        runs = [
            read_results(self.fit("mnist_lenet", *fast, f"--seed_everything={seed}")) or {}
            for seed in range(SEEDS)
        ]
        accuracy = [run["metrics"]["test/acc"] for run in runs]
        seconds = [run["seconds"]["train"] for run in runs]
        return {
            "test/acc": mean(accuracy), "sd": stdev(accuracy), "least": min(accuracy),
            "seconds": mean(seconds), "sd of seconds": stdev(seconds), "n": SEEDS,
        }  # fmt: skip

    def seeds(self) -> dict[str, float]:
        """Return the seconds of an epoch of a ReLU MLP alone, and of many seeds together."""
        words = ["mnist_relu_mlp", "--trainer.max_epochs=2"]
        alone = (read_results(self.fit(*words)) or {})["seconds"]["epoch"]
        logs = [self.folder / f"seed_{seed}.txt" for seed in range(TOGETHER)]
        root = self.folder / "together"
        commands = [
            [
                *self._words(*words)[1:],
                f"--seed_everything={seed}",
                f"--trainer.logger.save_dir={root}",
            ]
            for seed in range(TOGETHER)
        ]
        train_together(commands, logs)
        runs = [read_results(path.parent) or {} for path in root.rglob("results.json")]
        together = max(run["seconds"]["epoch"] for run in runs)
        return {"alone": alone, "together": together, "n": len(runs), "ratio": together / alone}

    def fit(self, model: str, *words: str, accelerator: str | None = None) -> Path:
        """Train quietly and return the run folder."""
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            linenet(self._words(model, *words, accelerator=accelerator))
        return max(self.folder.glob("*/version_*"), key=lambda path: path.stat().st_ctime)

    def _words(self, model: str, *words: str, accelerator: str | None = None) -> list[str]:
        config = str(PROJECT / f"configs/{model}.yaml")
        where = f"--trainer.accelerator={accelerator or self.accelerator}"
        quiet = ["--report=false", "--figures.only=[]", "--data.source=mnist"]
        logs = f"--trainer.default_root_dir={self.folder}"
        return ["fit", "--config", config, *words, where, logs, *quiet]

    def _losses(self, run: Path) -> list[float]:
        return read_curves((run / "curves.csv").read_text())["train/loss"][1]

    def _killed(self, words: list[str]) -> Path:
        """Kill a run as soon as it has saved something besides its start; return its folder."""
        before = {*self.folder.glob("*/version_*")}
        command = [sys.executable, "-c", OFTEN, *self._words("mnist_lenet", *words)]
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                new = {*self.folder.glob("*/version_*")} - before
                if any(len([*one.glob("checkpoints/*")]) > 1 for one in new):
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                time.sleep(0.001)
        [folder] = {*self.folder.glob("*/version_*")} - before
        return folder


def best(run: Path) -> Path:
    """Return the best checkpoint of a run."""
    return run / "checkpoints" / Path((read_results(run) or {})["best_checkpoint"]).name


def same(one: Any, other: Any) -> bool:
    """Return whether the weights of two checkpoints are equal to the bit."""
    pairs = zip(one["state_dict"].values(), other["state_dict"].values(), strict=True)
    return all(torch.equal(a.cpu(), b.cpu()) for a, b in pairs)


def ratios(times: dict[str, float]) -> dict[str, float]:
    ours = times["linenet"]
    found = {f"linenet / {name}": ours / times[name] for name in times if name != "linenet"}
    if "template" in times:
        found["template / linenet"] = 1 / found.pop("linenet / template")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accelerator", choices=("gpu", "cpu"), default="gpu", help="default gpu")
    accelerator = parser.parse_args().accelerator
    if accelerator == "gpu" and not torch.cuda.is_available():
        sys.exit("error: no CUDA device was found. Try the script itself by --accelerator cpu.")
    began, record = time.perf_counter(), json.loads(facts())
    with TemporaryDirectory() as folder:
        check = Check(accelerator, Path(folder))
        for part in ("losses", "epochs", "target", "bits", "seeds", "tests"):
            try:
                record[part] = getattr(check, part)()
            except (Exception, SystemExit):
                record[part] = traceback.format_exc(limit=-3)
            print(part, json.dumps(record[part], indent=1), flush=True)
            record["seconds"] = round(time.perf_counter() - began)
            write_whole(RESULTS, json.dumps(record, indent=1) + "\n")
    print(f"Results: {RESULTS}, after {record['seconds']} s")


def facts() -> str:
    """Return device, versions and commit as JSON."""
    words = [sys.executable, "-c", FACTS]
    return subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
