"""Several workers share a sweep, over SQLite, a journal file and PostgreSQL; some are killed."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from scripts.sweep.attempts import counted, first_number
from scripts.sweep.presence import WORKER
from scripts.sweep.storage import open_storage
from tests.conftest import PROJECT
from tests.scripts.sweep.conftest import LOGISTIC, SMALL, SPACE

pytestmark = pytest.mark.slow
FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # of Debian
OTHER_USER = "postgres"  # a server refuses to run as root


@pytest.fixture
def start(data_root: Path) -> Any:
    """Return a function that starts a worker in a process of its own."""
    Path("space.yaml").write_text(SPACE)
    environment = {**os.environ, "DATA_DIR": str(data_root), "PYTHONPATH": str(PROJECT)}
    environment |= {"OMP_NUM_THREADS": "1"}
    environment |= {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "sweep", "SLURM_STEP_ID": "0"}
    environment |= {"SLURM_NTASKS": "2", "SLURM_PROCID": "1"}  # as if by `srun -n 2`
    command = [sys.executable, "-m", "scripts.sweep", "--config", LOGISTIC, "--space", "space.yaml"]
    command += [*SMALL, "--data.verify=false", "--pruner=none", "--sampler=random"]

    def function(*words: str) -> "subprocess.Popen[bytes]":
        with Path("worker.log").open("a") as log:
            return subprocess.Popen([*command, *words], env=environment, stdout=log, stderr=log)

    return function


def trials_of(url: str) -> list[FrozenTrial]:
    storage: Any = open_storage(url)
    try:
        [name] = optuna.get_all_study_names(storage)
        return optuna.load_study(study_name=name, storage=storage).trials
    finally:
        if "journal" not in url:
            storage.remove_session()
            storage.engine.dispose()


def check_each_once(trials: list[FrozenTrial], total: int) -> None:
    """Check that all trials are complete, and none was done twice."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(counted(trials)) == len(done) == total
    assert max(Counter(map(first_number, done)).values()) == 1
    runs = [path.parent.name for path in Path("lightning_logs").rglob("trial_*/results.json")]
    assert sorted(runs) == sorted(f"trial_{first_number(trial)}" for trial in done)


@pytest.mark.parametrize("url", ["sqlite:///shared.db", "journal:shared.log"])
def test_two_workers_share_a_file(start: Any, url: str) -> None:
    words = ("--trials=12", "--trainer.max_epochs=20", f"--storage={url}")
    workers = [start(*words) for _ in range(2)]
    assert [worker.wait(300) for worker in workers] == [0, 0]
    trials = trials_of(url)
    check_each_once(trials, 12)
    assert len({trial.user_attrs[WORKER] for trial in trials}) == 2
    assert len(list(Path("lightning_logs/sweeps").glob("version_*"))) == 1


def test_a_sweep_that_is_killed_again_and_again_equals_one_that_is_not(start: Any) -> None:
    words, chance = ("--trials=6", "--trainer.max_epochs=150"), random.Random(0)
    for _ in range(4):
        worker = start(*words)
        time.sleep(chance.uniform(6, 16))
        worker.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        worker.wait(60)
    assert start(*words).wait(300) == 0
    [folder] = Path("lightning_logs/sweeps").glob("version_*")
    trials = trials_of(f"sqlite:///{folder}/study.db")
    check_each_once(trials, 6)
    assert start(*words, "--storage=journal:undisturbed.log").wait(300) == 0
    undisturbed = trials_of("journal:undisturbed.log")
    ours = [(trial.params, trial.value) for trial in counted(trials)]
    assert ours == [(trial.params, trial.value) for trial in undisturbed]  # to the bit


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server that runs during a test."""
    program = shutil.which("pg_ctl") or (FOUND and FOUND[-1] / "pg_ctl")
    if not program:
        pytest.skip("PostgreSQL is not installed; on Debian: apt install postgresql")
    bin_folder = Path(program).resolve().parent
    place = Path("/tmp", f"linenet-postgres-{os.getpid()}")  # short, for its socket
    place.mkdir()
    prefix = []
    if os.getuid() == 0:
        shutil.chown(place, OTHER_USER)
        prefix = ["runuser", "-u", OTHER_USER, "--"]

    def call(name: str, *words: str) -> None:
        command = [*prefix, str(bin_folder / name), "-D", str(place / "data"), *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    port = free_port()
    options = f"-p {port} -k {place} -c listen_addresses=127.0.0.1"
    call("initdb", "--auth=trust", "--username=me", "--no-sync")
    call("pg_ctl", "-w", "-l", str(place / "log"), "-o", options, "start")
    yield f"postgresql://me@127.0.0.1:{port}/postgres"
    call("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(place)


def test_four_workers_share_a_server_and_one_is_killed(start: Any, server: str) -> None:
    words = ("--trials=16", "--trainer.max_epochs=60", f"--storage={server}")
    workers = [start(*words) for _ in range(4)]
    deadline = time.monotonic() + 120
    while not (running := running_now(server)) and time.monotonic() < deadline:
        time.sleep(0.3)
    workers[0].kill()
    assert workers[0].wait(30) == -signal.SIGKILL
    assert running
    assert [worker.wait(300) for worker in workers[1:]] == [0, 0, 0]
    trials = trials_of(server)
    check_each_once(trials, 16)
    assert len({trial.user_attrs[WORKER] for trial in counted(trials)}) >= 3


def running_now(url: str) -> bool:
    """Return whether all four workers have a trial."""
    try:
        trials = trials_of(url)
    except ValueError:  # no study yet
        return False
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    return len({trial.user_attrs.get(WORKER) for trial in running} - {None}) == 4
