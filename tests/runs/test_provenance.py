"""The recorded versions, device and commit are those of this machine and checkout."""

import subprocess

import pytest
import torch

from src.runs import provenance
from tests.conftest import PROJECT


def test_versions_equal_those_in_use() -> None:
    versions = provenance.versions()
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert set(provenance.PACKAGES) < set(versions)


def test_the_device_is_named() -> None:
    name = provenance.device_name(torch.device("cpu"))
    assert name.startswith("cpu: ")
    assert name.endswith(", 1 thread")
    torch.set_num_threads(2)
    assert provenance.device_name(torch.device("cpu")).endswith(", 2 threads")


def test_the_commit_equals_that_of_git() -> None:
    command = ["git", "-C", str(PROJECT), "rev-parse", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    state = provenance.git_state()
    assert (state or {}).get("commit") == (result.stdout.strip() or None)


def test_outside_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    provenance.git_state.cache_clear()
    try:
        assert provenance.git_state() is None
    finally:
        provenance.git_state.cache_clear()
