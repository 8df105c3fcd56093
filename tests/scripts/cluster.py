"""A small SLURM on this machine: a scheduler, and two nodes, the second under another host name."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
ACTIVE = ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "PREEMPTED")  # states of a job
CONFIG = """
ClusterName=linenet
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2
NodeName={host}-b NodeAddr=127.0.0.2 Port={ports[2]} CPUs=2
PartitionName=usual Nodes=ALL Default=YES PriorityTier=1
PartitionName=urgent Nodes=ALL PriorityTier=2
"""


@dataclass
class Cluster:
    """A scheduler whose commands run in a folder."""

    folder: Path
    variables: dict[str, str]

    def call(self, *words: str) -> str:
        """Run a command of SLURM, and return what it prints."""
        done = subprocess.run(
            words, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, *words: object) -> str:
        """Submit a job, and return its number."""
        return self.call("sbatch", "--parsable", "--output=job-%j.log", *map(str, words))

    def fact(self, job: str, name: str) -> str:
        """Return a fact about a job, e.g. its JobState, Restarts or ExitCode."""
        facts = self.call("scontrol", "show", "job", job)
        return facts.split(f"{name}=")[1].split()[0]

    def ended(self, *jobs: str, seconds: float = 240) -> list[str]:
        """Wait until jobs have ended, and return their states."""
        until = time.monotonic() + seconds
        while any(self.fact(job, "JobState") in ACTIVE for job in jobs):
            assert time.monotonic() < until, self.call("squeue")
            time.sleep(0.5)
        return [self.fact(job, "JobState") for job in jobs]

    def clear(self) -> None:
        """Cancel all jobs, and wait until they have ended."""
        self.call("scancel", "--user=root")
        while self.call("squeue", "--noheader"):
            time.sleep(0.5)


def missing() -> str | None:
    """Return why no SLURM can be started here; None if it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: apt-get install slurm-wlm)"
    return None if os.getuid() == 0 else "SLURM's daemons need root"


@contextmanager
def cluster(folder: Path, ports: Sequence[int], place: Path) -> Iterator[Cluster]:
    """Start the daemons, and end them.

    Args:
        folder: For their files.
        ports: Of the scheduler and of the two nodes.
        place: The folder from which jobs are submitted.
    """
    host, config = socket.gethostname().split(".")[0], folder / "slurm.conf"
    for part in ("state", f"spool-{host}", f"spool-{host}-b"):
        (folder / part).mkdir(parents=True)
    config.write_text(CONFIG.format(host=host, ports=ports, folder=folder))
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    files = {name: f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")}
    variables = {**os.environ, "SLURM_CONF": str(config)}
    commands = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files.values()],
        ["slurmctld", "-D", "-f", str(config)],
        ["slurmd", "-D", "-f", str(config)],
        ["unshare", "--uts", "sh", "-c", f"hostname {host}-b; exec slurmd -D -f {config}"],
    ]
    with ExitStack() as stack:
        for number, command in enumerate(commands):
            stack.enter_context(daemon(command, variables, folder / f"daemon{number}.log"))
            time.sleep(1)
        started = Cluster(place, variables)
        stack.callback(started.clear)
        yield started


@contextmanager
def daemon(command: list[str], variables: dict[str, str], log: Path) -> Iterator[None]:
    """Run a program until the end of the `with` block."""
    with log.open("w") as out:
        process = subprocess.Popen(command, env=variables, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait()
