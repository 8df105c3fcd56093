"""CI, commit hooks and the container start what exists, in the versions of uv.lock."""

import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import pairwise

import pytest
import yaml

from src.arguments import config_file
from src.cli import COMMANDS, OF_A_CLONE, tools
from src.places import CONFIGS
from tests.conftest import PROJECT

WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/test.yml").read_text())
[HOOKS] = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
CONTAINER = json.loads(
    re.sub(
        r"^\s*//.*", "", (PROJECT / ".devcontainer/devcontainer.json").read_text(),
        flags=re.MULTILINE,
    )
)  # fmt: skip
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
SCHEMAS = CONTAINER["customizations"]["vscode"]["settings"]["yaml.schemas"]


def commands() -> Iterator[str]:
    """Yield the commands of this project that CI, hooks and the container start."""
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    lines += CONTAINER["postCreateCommand"].split(" && ")
    lines += [hook["entry"] for hook in HOOKS["hooks"]]
    for line in lines:
        yield from re.findall(r"(?:^|(?<=\$\())(?:\./scripts/|linenet )[^)]+", line.strip())


@pytest.mark.parametrize("command", [*commands()])
def test_a_command_exists_with_its_words(command: str) -> None:
    program, *words = shlex.split(command)
    if program.startswith("./"):
        assert os.access(PROJECT / program, os.X_OK)
    if program == "./scripts/setup":
        extras = {word for word in words if not word.startswith("-")}
        assert extras <= {*PYPROJECT["optional-dependencies"]}
        assert {*words} - extras <= {"--cpu", "--cuda"}
    elif words:  # in a wheel, some tools are missing
        left_out = OF_A_CLONE if program == "linenet" else ()
        assert words[0] in {*COMMANDS, *tools()} - {*left_out}
        for before, word in pairwise(words):
            assert before != "--config" or config_file(word) != word


def test_ci_hooks_and_container_start_something() -> None:
    assert {command.split()[0] for command in commands()} == {
        "./scripts/test", "./scripts/setup", "./scripts/run", "linenet"
    }  # fmt: skip


def test_ci_tries_the_oldest_python_that_is_admitted() -> None:
    oldest = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"][0]
    assert PYPROJECT["requires-python"] == f">={oldest}"


def test_the_hooks_have_the_versions_of_the_lock() -> None:
    lock = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    versions = {one["name"]: one["version"] for one in lock}
    pins = [pin for hook in HOOKS["hooks"] for pin in hook.get("additional_dependencies", [])]
    assert pins
    for pin in pins:
        name, _, version = pin.partition("==")
        assert version == versions[name], "change .pre-commit-config.yaml with uv.lock"


def test_the_editor_checks_all_configs_and_as_the_pages_say() -> None:
    [(schema, patterns)] = SCHEMAS.items()
    assert CONTAINER["postCreateCommand"].endswith(f"./scripts/run schema {schema}")
    checked = {path for pattern in patterns for path in PROJECT.glob(pattern)}
    assert checked == {*CONFIGS.rglob("*.yaml")} - {*CONFIGS.glob("sweeps/*")}
    for page in ("scripts/README.md", "scripts/schema.py"):
        assert f'"yaml.schemas": {json.dumps(SCHEMAS)}' in (PROJECT / page).read_text()
