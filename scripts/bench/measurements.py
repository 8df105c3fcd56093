"""The measurements of the benchmark: each runs in its own process."""

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from scripts.shared.tables import PROJECT, Rows, mnist_files
from src.progress_bar import with_bar

MODELS = ["mnist_logistic", "mnist_sigmoid_mlp", "mnist_relu_mlp", "mnist_mlp", "mnist_lenet"]
LOOPS = {  # on each device; the first is what it allows
    "cpu": ["floor", "plain", "linenet", "template"],
    "gpu": ["captured", "plain", "linenet", "template"],
}
RIVAL = {"cpu": "plain", "gpu": "captured"}  # linenet's time is compared with
GOALS = {  # maximum of linenet / rival, minimum of template / linenet
    "cpu": {
        "mnist_logistic": (1.1, 12), "mnist_sigmoid_mlp": (1, ""), "mnist_relu_mlp": (1, ""),
        "mnist_mlp": (1, 2.5), "mnist_lenet": (1, 2.5),
    },
    "gpu": {
        "mnist_logistic": (2, ""), "mnist_sigmoid_mlp": (1.2, ""), "mnist_relu_mlp": (1.2, ""),
        "mnist_mlp": (1.2, ""), "mnist_lenet": (1.2, 40),
    },
}  # fmt: skip
GROWTH_MODEL = "mnist_relu_mlp"
TOLERANCE = {"cpu": 1e-5, "gpu": 1e-4}  # largest difference of losses that counts as rounding
IMPORT = (
    "import os, runpy; runpy.run_path('src/torchvision_compat.py')['import_torchvision']();"
    "import lightning.pytorch.cli; os._exit(0)"
)
FIRST_STEP = (
    "import src.libraries, os, runpy;"
    "from torch.optim.optimizer import register_optimizer_step_post_hook;"
    "register_optimizer_step_post_hook(lambda *_: os._exit(0));"
    "runpy.run_module('src.cli', run_name='__main__')"
)
PEAK = "import runpy{}; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
FACTS = (
    "import json, torch; from src.runs.provenance import *; from src.runs.code_state import *;"
    "d = torch.device('cuda' if torch.cuda.is_available() else 'cpu');"
    "print(json.dumps({'device': device_name(d), 'versions': versions(), 'git': git_state()}))"
)


def python(*words: str) -> str:
    """Run Python in the project's folder and return its standard output."""
    data = {"DATA_DIR": str(Path(os.environ.get("DATA_DIR") or "data").absolute())}
    command, settings = [sys.executable, *words], {**os.environ, **data}
    done = subprocess.run(
        command, cwd=PROJECT, env=settings, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"error: {' '.join(words)[:200]} failed:\n{done.stderr[-500:]}")
    return done.stdout


class Measurements:
    """The sections of the benchmark: each method measures and returns the rows of its table.

    Args:
        arguments: The options of the command.
        folder: Folder for the runs.
    """

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.models, self.rounds = arguments.model, arguments.rounds
        self.n_epochs, self.accelerator = arguments.epochs, arguments.accelerator
        self.batch_size, self.folder = arguments.batch_size, folder

    def fit(self, model: str, *words: str) -> list[str]:
        """Return the arguments that train a model and log to the temporary folder."""
        config, logs = f"configs/{model}.yaml", f"--trainer.logger.save_dir={self.folder}"
        where = ["--data.source=mnist", f"--trainer.accelerator={self.accelerator}"]
        return ["fit", "--config", config, *words, *where, logs]

    def linenet(self, model: str, *words: str) -> dict[str, Any]:
        """Train a model with linenet and return the content of its results.json."""
        python("-m", "src.cli", *self.fit(model, *words))
        newest = max(self.folder.glob("*/*/results.json"), key=os.path.getmtime)
        return json.loads(newest.read_text())

    def baseline(self, loop: str, model: str, batch_size: int, epochs: int) -> list[float]:
        words = [f"--batch_size={batch_size}", f"--epochs={epochs}"]
        words.append(f"--accelerator={self.accelerator}")
        printed = python("-m", "scripts.bench.contenders", loop, f"configs/{model}.yaml", *words)
        return json.loads(printed.splitlines()[-1])

    def epoch(self, model: str, loop: str, batch_size: int) -> float:
        """Return the median seconds per epoch, without the first epoch as warm-up."""
        epochs = self.n_epochs + 1
        if loop == "linenet":
            words = [f"--trainer.max_epochs={epochs}", f"--data.batch_size={batch_size}"]
            return seconds(self.linenet(model, *words))
        return median(self.baseline(loop, model, batch_size, epochs)[1:])

    def epochs(self) -> Rows:
        for model in with_bar(self.models, "Comparing losses"):
            largest = max(self.baseline("difference", model, self.batch_size, 1))
            most = TOLERANCE[self.accelerator]
            if largest > most:
                raise SystemExit(
                    f"error: with {model}, losses of linenet and the handwritten loop differ by"
                    f" {largest:.1g},\nexpected at most {most:g}; no times are measured."
                )
        times: dict[str, dict[str, list[float]]]
        loops = LOOPS[self.accelerator]
        times = {model: {loop: [] for loop in loops} for model in self.models}
        turns = list(product(range(self.rounds), self.models, loops))
        for _, model, loop in with_bar(turns, "Epochs"):
            times[model][loop].append(self.epoch(model, loop, self.batch_size))
        return [self._compared(model, times[model]) for model in self.models]

    def _compared(self, model: str, times: dict[str, list[float]]) -> dict[str, Any]:
        def ratio(one: str, other: str) -> float:
            return median(a / b for a, b in zip(times[one], times[other], strict=True))

        goals, rival = GOALS[self.accelerator][model], RIVAL[self.accelerator]
        return {
            "seconds per epoch": model,
            **{loop: median(times[loop]) for loop in times},
            f"linenet / {rival}": ratio("linenet", rival), "at most": goals[0],
            "template / linenet": ratio("template", "linenet"), "at least": goals[1],
        }  # fmt: skip

    def loader(self) -> Rows:
        times = self.baseline("loader", "mnist_mlp", 100, epochs=8)[1:]
        return [row("loading 60,000 images in batches, s", median(times), "≤ 0.10")]

    def start(self) -> Rows:
        times: dict[str, list[float]] = {IMPORT: [], FIRST_STEP: []}
        for _, code in with_bar(list(product(range(5), times)), "Start"):
            began = time.perf_counter()
            python("-c", code, *self.fit("mnist_mlp"))
            times[code].append(time.perf_counter() - began)
        imports, first = median(times[IMPORT]), median(times[FIRST_STEP])
        return [
            row("importing lightning.pytorch.cli, s", imports),
            row("from the command to the first step, s", first),
            row("first step / import", first / imports, "≤ 1.1"),
        ]

    def safety(self) -> Rows:
        """Time the safety checks in each step, and the checkpoints."""
        rows: Rows = []
        for model in with_bar(self.models, "Safety"):
            words = ["-m", "scripts.bench.safety", f"configs/{model}.yaml"]
            words.append(f"--accelerator={self.accelerator}")
            runs = [json.loads(python(*words).splitlines()[-1]) for _ in range(self.rounds)]
            share = median(checks / fit for fit, checks, *_ in runs)
            saves = [1000 * save for _, _, *saves in runs for save in saves]
            rows.append({
                "cost of safety": model, "checks in each step, % of fit": 100 * share,
                "median checkpoint, ms": median(saves), "slowest checkpoint, ms": max(saves),
            })  # fmt: skip
        return rows

    def memory(self) -> Rows:
        run = "; runpy.run_module('src.cli', run_name='__main__')"
        codes = [PEAK.format("; import src.command.experiment"), PEAK.format(run)]
        words = self.fit("mnist_mlp", "--trainer.max_epochs=2")
        peaks = [int(python("-c", code, *words).split()[-1]) for code in with_bar(codes, "Memory")]
        above = (peaks[1] - peaks[0]) * 1024 / 1e6
        return [row("peak memory of mnist_mlp above the imports, MB", above, "≤ 150")]

    def targets(self) -> Rows:
        """Train with configs/with/fast.yaml for 1 to 5 epochs, until 99 % are reached."""
        rows: Rows = []
        # Logistic regression does not get beyond 93 %.
        models = [model for model in self.models if model != "mnist_logistic"]
        for model in with_bar(models, "Time to accuracy"):
            for epochs in (1, 2, 3, 5):
                rows.append(self._fast(model, epochs))
                if rows[-1]["test"] >= 0.99:
                    break
        return rows

    def _fast(self, model: str, epochs: int) -> dict[str, Any]:
        words = ["--config", "configs/with/fast.yaml", f"--trainer.max_epochs={epochs}"]
        runs = [self.linenet(model, *words, f"--seed_everything={seed}") for seed in range(3)]
        accuracy = [run["metrics"]["test/acc"] for run in runs]
        return {
            "with/fast.yaml": model, "epochs": epochs,
            "test": mean(accuracy), "sd": stdev(accuracy),
            "seconds of training": mean(run["seconds"]["train"] for run in runs),
            "seconds of fit": mean(run["seconds"]["fit"] for run in runs),
        }  # fmt: skip

    def growth(self) -> Rows:
        """Time a sample with growing training sets and with growing batch sizes."""
        root = repeated_mnist(self.folder / "repeated", times=10)
        sizes: dict[int, tuple[str, ...]]
        sizes = {size: (f"--data.train_size={size}",) for size in (10_000, 55_000)}
        sizes[595_000] = (f"--data.root={root}", "--data.verify=false")
        rows: Rows = []
        for n in with_bar(sizes, "Growth"):
            epochs = f"--trainer.max_epochs={max(3, 200_000 // n)}"
            time_each = 1e6 * seconds(self.linenet(GROWTH_MODEL, epochs, *sizes[n])) / n
            rows.append({"samples": f"{n:,}", "batch": 100, "linenet, µs per sample": time_each})
        for batch_size in with_bar((32, 128, 512, 4096), "Batches"):
            ours, by_hand = (
                self.epoch(GROWTH_MODEL, loop, batch_size) for loop in ("linenet", "plain")
            )
            rows.append({
                "samples": "55,000", "batch": batch_size, "linenet, µs per sample": ours / 0.055,
                "plain": by_hand / 0.055, "linenet / plain": ours / by_hand,
            })  # fmt: skip
        return rows


def seconds(run: dict[str, Any]) -> float:
    """Return a run's median training time per epoch, in seconds."""
    return run["seconds"]["epoch"]


def row(name: str, value: float, goal: str = "") -> dict[str, Any]:
    return {"measure": name, "measured": value, "goal": goal}


def repeated_mnist(root: Path, times: int) -> Path:
    """Write a copy of MNIST with every training image repeated, and return its root folder."""
    source, raw = mnist_files(), root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, header in (("train-images-idx3-ubyte", 16), ("train-labels-idx1-ubyte", 8)):
        plain, packed = source / name, source / f"{name}.gz"
        content = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
        count = (times * int.from_bytes(content[4:8], "big")).to_bytes(4, "big")
        (raw / name).write_bytes(content[:4] + count + content[8:header] + content[header:] * times)
    for path in source.glob("t10k-*"):
        (raw / path.name).symlink_to(path.resolve())
    return root
