"""Starts torchrun on two hosts: on this one, or in two network namespaces that a cable connects."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import PROJECT

Process = subprocess.Popen[str]


@dataclass
class Host:
    """A host: its address, and the words and variables with which a command starts on it."""

    address: str = "127.0.0.1"
    before: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


@contextmanager
def cabled() -> Iterator[list[Host]]:
    """Yield two hosts with a network each, which nothing but one cable connects."""
    names = [f"linenet{os.getpid()}{side}" for side in "ab"]
    cables = ["cable0", "cable1"]
    addresses = ["10.77.0.1", "10.77.0.2"]
    try:
        for name in names:
            ip("netns", "add", name)
        first, second = ([cable, "netns", name] for cable, name in zip(cables, names, strict=True))
        ip("link", "add", *first, "type", "veth", "peer", "name", *second)
        for name, cable, address in zip(names, cables, addresses, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", cable)
            for link in ("lo", cable):
                ip("-n", name, "link", "set", link, "up")
        yield [
            Host(address, ["ip", "netns", "exec", name], {"GLOO_SOCKET_IFNAME": cable})
            for name, cable, address in zip(names, cables, addresses, strict=True)
        ]
    finally:
        for name in names:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def namespaces_missing() -> str | None:
    """Return why no network namespaces can be made here; None if they can."""
    try:
        with cabled():
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces need root and iproute2: {error}"


@contextmanager
def launcher(hosts: list[Host]) -> Iterator[Callable[..., Process]]:
    """Yield a function that starts torchrun on a host; what still runs at the end is killed."""
    started: list[Process] = []
    logs = [Path(f"host{rank}.log").open("a") for rank in range(len(hosts))]  # noqa: SIM115

    def start(rank: int, port: int, words: list[str], **variables: str) -> Process:
        host = hosts[rank]
        settings = {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "LINENET_ALLOW": "tests"}
        process = subprocess.Popen(
            [*host.before, sys.executable, "-m", "torch.distributed.run", "--nnodes=2",
             "--nproc-per-node=1", f"--node-rank={rank}", f"--master-addr={hosts[0].address}",
             f"--master-port={port}", "-m", "src.cli", *words],
            env={**os.environ, **settings, **host.variables, **variables},
            stdout=logs[rank], stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            cut(process)
        for log in logs:
            log.close()


def descendants(number: int) -> list[int]:
    """Return a process and all that it has started, directly or not."""
    try:
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    except OSError:
        return []
    return [number, *(found for child in children for found in descendants(int(child)))]


def cut(process: Process) -> None:
    """Kill all processes of a host at once, as a power cut does, unless they have ended."""
    if process.poll() is not None:  # its number may belong to another process by now
        return
    for number in descendants(process.pid):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()


def ended(processes: list[Process], seconds: float = 120) -> list[int]:
    """Wait for the processes, together at most so long, and return their exit codes."""
    until = time.monotonic() + seconds
    return [process.wait(max(0.1, until - time.monotonic())) for process in processes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
