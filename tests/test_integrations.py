"""CI, commit hooks and the container name what exists, in the versions of uv.lock."""

import json
import re
import tomllib

import yaml

from tests.conftest import PROJECT

WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/test.yml").read_text())


def test_ci_tries_each_system_python_and_installer_by_the_test_command() -> None:
    job = WORKFLOW["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert matrix["system"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert matrix["installer"] == ["pip", "uv"]
    assert "./scripts/test" in [step.get("run") for step in job["steps"]]


def test_the_hooks_have_the_versions_of_the_lock() -> None:
    lock = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    versions = {one["name"]: one["version"] for one in lock}
    [repository] = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    pins = [pin for hook in repository["hooks"] for pin in hook.get("additional_dependencies", [])]
    assert pins
    for pin in pins:
        name, _, version = pin.partition("==")
        assert version == versions[name], "change .pre-commit-config.yaml with uv.lock"


def test_the_container_is_set_up_by_the_commands_of_the_readme() -> None:
    text = (PROJECT / ".devcontainer/devcontainer.json").read_text()
    container = json.loads(re.sub(r"^\s*//.*", "", text, flags=re.MULTILINE))
    for command in container["postCreateCommand"].split(" && "):
        assert (PROJECT / command.split()[0]).is_file()
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["yaml.schemas"] == {
        "configs/schema.json": ["configs/*.yaml", "configs/with/*.yaml"]
    }
