"""The scripts for SLURM start a run, queue it again after a signal, and resume it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.compare.__main__ import main as compare
from tests.conftest import PROJECT
from tests.scripts.cluster import Cluster, cluster, missing
from tests.training.hosts import free_port

SCRIPTS = PROJECT / "scripts/slurm"
LENET = ["--config", PROJECT / "configs/mnist_lenet.yaml", "--trainer.accelerator=cpu",
         "--data.val_size=50", "--data.verify=false", "--trainer.enable_progress_bar=false",
         "--trainer.max_epochs=60", "--data.batch_size=5"]  # fmt: skip
FAKE = """#!/usr/bin/env bash
echo "${0##*/} $*" >>calls.txt
[ "${0##*/}" = scontrol ] || exit "$CODE"
"""


@pytest.fixture
def calls(tmp_path: Path) -> Any:
    """Return a function that runs a script with `srun` and `scontrol` replaced."""
    for name in ("srun", "scontrol"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)

    def run(script: str, *words: str, code: int = 0, **variables: str) -> list[str]:
        Path("calls.txt").unlink(missing_ok=True)
        path = f"{tmp_path}:{os.environ['PATH']}"
        job = {"SLURM_JOB_ID": "17", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4"}
        settings = {"PATH": path, "CODE": str(code), **job, **variables}
        done = subprocess.run([SCRIPTS / script, *words], env=settings, check=False)
        assert done.returncode == code
        return Path("calls.txt").read_text().splitlines()

    return run


def test_a_job_starts_a_run_of_its_own_on_all_nodes(calls: Any) -> None:
    [line] = calls("fit.sh", "--config", "x.yaml")
    assert line == (
        "srun --kill-on-bad-exit=1 ./scripts/run fit --config x.yaml --trainer.logger.version"
        " job_17 --trainer.num_nodes 2 --trainer.devices 4"
    )


def test_a_job_that_is_started_again_resumes_its_run(calls: Any) -> None:
    Path("lightning_logs/x/job_17").mkdir(parents=True)
    assert "version job_17" in calls("fit.sh", "--config", "x.yaml")[0]  # nothing to resume yet
    Path("lightning_logs/x/job_17/config.yaml").touch()
    [line] = calls("fit.sh", "--config", "x.yaml")
    assert "--config x.yaml --resume lightning_logs/x/job_17 --trainer.num_nodes" in line
    assert "version" not in line


def test_a_job_of_an_array_trains_its_seed(calls: Any) -> None:
    ids = {"SLURM_ARRAY_JOB_ID": "16", "SLURM_ARRAY_TASK_ID": "3"}
    [line] = calls("fit.sh", "--config", "x.yaml", **ids)
    assert "--seed_everything 3 --trainer.logger.version job_16_seed_3" in line


@pytest.mark.parametrize("script", ["fit.sh", "worker.sh"])
@pytest.mark.parametrize(("code", "again"), [(0, False), (1, False), (138, True), (143, True)])
def test_a_job_is_queued_again_after_a_signal_only(
    script: str, code: int, again: bool, calls: Any
) -> None:
    lines = calls(script, "sweep", code=code)
    assert lines[1:] == ["scontrol requeue 17"] * again


@pytest.fixture
def slurm(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A scheduler with two nodes, in whose working folder ./scripts/run starts this project."""
    if reason := missing():
        pytest.skip(reason)
    place = tmp_path / "project"
    (place / "scripts").mkdir(parents=True)
    run = place / "scripts/run"
    run.write_text(f'#!/usr/bin/env bash\nexec {sys.executable} -m src.cli "$@"\n')
    run.chmod(0o755)
    settings = {"DATA_DIR": data_root, "PYTHONPATH": PROJECT, "OMP_NUM_THREADS": 1,
                "GLOO_SOCKET_IFNAME": "lo"}  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(place)
    with cluster(tmp_path / "slurm", [free_port() for _ in range(3)], place) as started:
        yield started


def wait_for_checkpoint(folder: Path, more_than: int = 0) -> None:
    """Wait for a checkpoint after a step."""
    until = time.monotonic() + 60
    while step(folder) <= more_than:
        assert time.monotonic() < until, "\n".join(log.read_text() for log in Path().glob("*.log"))
        time.sleep(0.05)


def step(folder: Path) -> int:
    names = [path.stem for path in folder.glob("checkpoints/resume-*.ckpt")]
    return max((int(name.removeprefix("resume-step")) for name in names), default=-1)


def metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "results.json").read_text())["metrics"]


@pytest.mark.slow
def test_a_run_on_two_nodes_survives_a_warning_and_a_preemption(slurm: Cluster) -> None:
    runs = Path("lightning_logs/mnist_lenet")
    two = ["--nodes=2", SCRIPTS / "fit.sh", *LENET]
    undisturbed = slurm.submit(*two)
    assert slurm.ended(undisturbed) == ["COMPLETED"]
    job = slurm.submit(*two)
    folder = runs / f"job_{job}"
    wait_for_checkpoint(folder)
    slurm.call("scancel", "--signal=USR1", job)  # as --signal=USR1@60 does before the time limit
    while slurm.fact(job, "JobState") != "PENDING":
        time.sleep(0.1)
    wait_for_checkpoint(folder, more_than=step(folder))
    urgent = slurm.submit("--partition=urgent", "--exclusive", "--wrap=true")
    assert slurm.ended(urgent, job) == ["COMPLETED", "COMPLETED"]
    assert slurm.fact(job, "Restarts") == "2"
    assert metrics(folder) == metrics(runs / f"job_{undisturbed}")
    text = Path(f"job-{job}.log").read_text()
    assert "Stopped by SIGUSR1 after step" in text
    assert "Stopped by SIGTERM after step" in text
    assert text.count(f"Resuming {folder} from resume-step") == 2


@pytest.mark.slow
def test_an_array_of_seeds_is_compared(slurm: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    array = slurm.submit("--array=0-3", SCRIPTS / "fit.sh", *LENET)
    runs = [Path(f"lightning_logs/mnist_lenet/job_{array}_seed_{seed}") for seed in range(4)]
    wait_for_checkpoint(runs[1])
    slurm.call("scontrol", "requeue", f"{array}_1")
    jobs = [f"{array}_{seed}" for seed in range(4)]
    assert slurm.ended(*jobs) == ["COMPLETED"] * 4
    assert slurm.fact(f"{array}_1", "Restarts") == "1"
    assert [json.loads((run / "results.json").read_text())["seed"] for run in runs] == [*range(4)]
    capsys.readouterr()
    compare([str(run) for run in runs])
    assert "±" in capsys.readouterr().out


@pytest.mark.slow
def test_a_cancelled_job_is_not_queued_again(slurm: Cluster) -> None:
    job = slurm.submit(SCRIPTS / "fit.sh", *LENET)
    folder = Path(f"lightning_logs/mnist_lenet/job_{job}")
    wait_for_checkpoint(folder)
    slurm.call("scancel", job)
    assert slurm.ended(job) == ["CANCELLED"]
    time.sleep(8)  # a job that is queued again waits for six seconds
    assert slurm.fact(job, "JobState") == "CANCELLED"


@pytest.mark.slow
def test_a_worker_goes_on_with_its_command(slurm: Cluster) -> None:
    job = slurm.submit(SCRIPTS / "worker.sh", "fit", *LENET, "--resume=latest")
    folder = Path("lightning_logs/mnist_lenet/version_0")
    wait_for_checkpoint(folder)
    slurm.call("scancel", "--signal=USR1", job)
    assert slurm.ended(job) == ["COMPLETED"]
    assert slurm.fact(job, "Restarts") == "1"
    assert (folder / "results.json").is_file()
