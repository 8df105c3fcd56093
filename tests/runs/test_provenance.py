"""The recorded versions, device and environment are those of this machine."""

from importlib.metadata import distributions

import pytest
import torch

from src.runs import provenance


def test_versions_equal_those_in_use() -> None:
    versions = provenance.versions()
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert set(provenance.PACKAGES) < set(versions)


def test_all_packages_are_listed_with_their_versions() -> None:
    known = {one.name.replace("_", "-").lower(): one.version for one in distributions()}
    listed = provenance.packages()
    assert known["torch"] == listed["torch"]
    assert {*known} == {*listed}


def test_the_device_is_named() -> None:
    name = provenance.device_name(torch.device("cpu"))
    assert name.startswith("cpu: ")
    assert name.endswith(", 1 thread")
    torch.set_num_threads(2)
    assert provenance.device_name(torch.device("cpu")).endswith(", 2 threads")


def test_the_environment_is_kept_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED", "LINENET_ALLOW", "WANDB_API_KEY",
                 "PL_TOKEN", "LINENET_TEST_AUTH", "CUDA_CREDENTIALS", "TORCH_api_key", "PL_PWD",
                 "LINENET_PRELOAD", "HOME"):  # fmt: skip
        monkeypatch.setenv(name, "7")
    kept = provenance.environment()
    assert {name for name, value in kept.items() if value == "7"} == {
        "CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED", "LINENET_ALLOW"
    }  # fmt: skip
