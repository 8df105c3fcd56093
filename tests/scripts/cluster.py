"""A small SLURM on this machine: a scheduler, and nodes that are processes here."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
ACTIVE = ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "PREEMPTED")  # states of a job
CONFIG = """
ClusterName=linenet
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
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
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs=4
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


def missing() -> str | None:
    """Return why no SLURM can be started here; None if it can."""
    absent = [name for name in DAEMONS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: apt-get install slurm-wlm)"
    return None if os.getuid() == 0 else "SLURM's daemons need root"


@contextmanager
def cluster(folder: Path, ports: tuple[int, int], place: Path) -> Iterator[Cluster]:
    """Start the daemons, and end them.

    Args:
        folder: For their files.
        ports: Of the scheduler and of the node.
        place: The folder from which jobs are submitted.
    """
    for part in ("state", "spool-node"):
        (folder / part).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    host, (port, node_port) = socket.gethostname().split(".")[0], ports
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=host, port=port, node_port=node_port, folder=folder))
    files = {name: f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")}
    variables = {**os.environ, "SLURM_CONF": str(config)}
    commands = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files.values()],
        ["slurmctld", "-D", "-f", str(config)],
        ["slurmd", "-D", "-N", "node", "-f", str(config)],
    ]
    daemons = []
    try:
        for command in commands:
            log = (folder / f"{command[0]}.out").open("w")
            daemons.append(
                subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT)
            )
            time.sleep(1)
        yield Cluster(place, variables)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait()
