"""Tests one run with several processes, and several runs started at once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from math import inf
from pathlib import Path

from scripts.faults.kills import CONFIGS, SHORT
from scripts.faults.runs import left, start, wait

SIZES = [1, 7, 203]  # test images
WORLDS = [1, 2, 3, 4]
TOGETHER = 8
FEW = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=20"]
LOGISTIC = ["fit", "--config", str(CONFIGS / "mnist_logistic.yaml"), *SHORT, *FEW]


def evaluated(folder: Path, data: Path) -> Iterator[str | None]:
    """Evaluate one checkpoint on test sets of several sizes with one to four processes.

    Yields:
        What is wrong with the metrics or the number of predictions, or None.
    """
    if wait(start(folder, LOGISTIC, 10.0)):
        raise RuntimeError((folder / "log.txt").read_text())
    checkpoint = next(folder.glob("**/best-*"))
    expected: dict[str, float] = {}
    for size, world in product(SIZES, WORLDS):
        root = folder / f"data{size}"
        shorten(data, root, size)
        found = outcome(folder, root, checkpoint, world)
        expected = {**found, "in order": 1.0, "n": size} if world == 1 else expected
        same = all(abs(found.get(name, inf) - expected[name]) < 1e-6 for name in expected)
        yield None if same else f"{size} images, {world} processes: {found}, not {expected}"


def shorten(data: Path, root: Path, size: int) -> None:
    """Write MNIST with the first `size` test images into a folder."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, header, each in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
        shutil.copy(data / "MNIST" / "raw" / f"train-{name}-ubyte", raw)
        content = (data / "MNIST" / "raw" / f"t10k-{name}-ubyte").read_bytes()
        body = content[header : header + size * each]
        (raw / f"t10k-{name}-ubyte").write_bytes(
            content[:4] + size.to_bytes(4, "big") + content[8:header] + body
        )


def outcome(folder: Path, root: Path, checkpoint: Path, world: int) -> dict[str, float]:
    """Return the metrics of a test with `world` processes, and the number of predictions."""
    words = ["--config", str(CONFIGS / "mnist_logistic.yaml"), "--ckpt_path", str(checkpoint)]
    words += ["--data.verify=false", f"--data.root={root}", "--trainer.accelerator=cpu"]
    words += [f"--trainer.devices={world}"] + ["--trainer.strategy=ddp"] * (world > 1)
    project = CONFIGS.parent
    environment = {**os.environ, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    place = folder / f"{root.name}-{world}"
    for command in ("test", "predict"):
        place.mkdir(exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "src.cli", command, *words], cwd=place, env=environment,
            check=False, capture_output=True, timeout=300,
        )  # fmt: skip
    texts = [path.read_text() for path in place.glob("**/results.json")]
    results = json.loads(texts[0])["metrics"] if texts else {}
    tables = [path.read_text() for path in place.glob("**/predictions.csv")]
    indices = [int(line.split(",")[0]) for table in tables for line in table.splitlines()[1:]]
    shutil.rmtree(place)
    return {**results, "in order": float(indices == list(range(len(indices)))), "n": len(indices)}


def together(folder: Path) -> Iterator[str | None]:
    """Start several runs at once; yield for each what is wrong, or None."""
    codes = [wait(process) for process in [start(folder, LOGISTIC, 10.0) for _ in range(TOGETHER)]]
    runs = sorted(folder.glob("lightning_logs/mnist_logistic/*"))
    metrics = [left(run)["results"]["metrics"] for run in runs if (run / "results.json").exists()]
    right = len(metrics) == TOGETHER and all(found == metrics[0] for found in metrics)
    for code in codes:
        yield None if code == 0 and right else f"exit code {code}, {len(metrics)} results"


def forced(folder: Path) -> Iterator[str | None]:
    """Start several runs with the same run folder: exactly one must train.

    Yields:
        For each run what is wrong, or None.
    """
    words = [*LOGISTIC, "--trainer.logger.version=mine"]
    processes = [start(folder, words, 10.0) for _ in range(TOGETHER)]
    codes = [wait(process) for process in processes]
    log = (folder / "log.txt").read_text()
    epochs = [json.loads(path.read_text())["epochs"] for path in folder.rglob("results.json")]
    right = sorted(codes) == [0] + [1] * (TOGETHER - 1) and epochs == [1]
    for code in codes:
        yield None if right and "in use by process" in log else f"code {code}: {log[-300:]}"
