"""A YAML file that is not a config is refused quickly, in one line that names the file."""

import os
import re
import time
from pathlib import Path

import pytest
import yaml
from jsonargparse import get_loader

from src.cli import main
from src.command.config_files import StrictLoader, read_strictly
from tests.conftest import PROJECT

BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES = {
    "twice": ("trainer:\n  max_epochs: 1\n  devices: 1\n  max_epochs: 2\n", "line 4: max_epochs"),
    "twice_in_a_list": ("trainer:\n  callbacks:\n  - {a: 1,\n     a: 2}\n", "line 4: a is given"),
    "bomb": (BOMB, "once its aliases"),
    "aliases": (f"a: &a [1]\nb: [{','.join(['*a'] * 101)}]\n", "line 1: over 100 aliases"),
    "itself": ("a: &a [*a]\n", "one within itself"),
    "large": ("#" * 10_000_000, "1,000,000 bytes"),
    "empty": ("", "has no settings"),
    "comment": ("# nothing\n", "has no settings"),
    "list": ("[1, 2]\n", "has no settings"),
    "text": ("hello\nworld\n", "has no settings"),
    "tag": ("model: !!python/object/apply:os.system ['touch canary']\n", "line 1: could not"),
    "name": ("model: !!python/name:os.system\n", "line 1: could not"),
    "broken": ("model: [\nx\n", "line 3: did not find"),
    "tab": ("model:\n\tx: 1\n", "line 2: found character"),
    "deep": ("a: " + "[" * 50_000, "nest"),
    "rather_deep": ("a: " + "[" * 900 + "]" * 900, "nest"),
    "two": ("a: 1\n---\nb: 2\n", "another document"),
    "zero": ("a: \0\n", "#x0000"),
    "no_anchor": ("a: *b\n", "line 1: found undefined alias"),
}


def refusal(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    started = time.perf_counter()
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", f"{name}.yaml"])
    assert time.perf_counter() - started < 15  # the aliases were not expanded
    assert stop.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"{name}.yaml" in line
    return line


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = FILES[name]
    Path(f"{name}.yaml").write_text(text)
    assert message in refusal(name, capsys)
    assert not Path("canary").exists()


def test_binary_files_and_folders_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bytes.yaml").write_bytes(bytes(range(256)) + os.urandom(100))
    Path("folder.yaml").mkdir()
    assert "is not a text file" in refusal("bytes", capsys)
    assert "is not a file" in refusal("folder", capsys)


def test_missing_files_and_urls_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("gone.yaml", "http://127.0.0.1:9/gone.yaml", "memory://gone.yaml"):
        with pytest.raises(SystemExit) as stop:
            main(["fit", "--config", name])
        assert stop.value.code == 2
        assert re.search(f"File does not exist: '.*{name}'", capsys.readouterr().err)


def test_valid_values_are_read() -> None:
    read_strictly()
    read_strictly()  # a second time changes nothing
    load = get_loader("yaml")
    assert isinstance(load, StrictLoader)
    assert not isinstance(load.load, StrictLoader)
    text = "{a: 1e-3, b: 2024-01-01, c: on, d: [1, .5], e: &x {f: null}, g: *x}"
    assert load(text) == {
        "a": 0.001, "b": "2024-01-01", "c": True, "d": [1, 0.5], "e": {"f": None}, "g": {"f": None},
    }  # fmt: skip


@pytest.mark.parametrize("text", ["{a: 1, a: 2}", "[&a [1], *b]"])
def test_values_on_the_command_line_are_checked_too(text: str) -> None:
    read_strictly()
    with pytest.raises(yaml.YAMLError):
        get_loader("yaml")(text)


@pytest.mark.parametrize("value", ["1:30", "10:30:00", "1:30.5"])
def test_a_number_of_base_60_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text(f"model: LeNet\ndata: MNIST\ntrainer:\n  max_time: {value}\n")
    with pytest.raises(SystemExit):
        main(["fit", "--config", "mine.yaml"])
    error = capsys.readouterr().err
    assert f"mine.yaml, line 4: YAML takes {value} for a number of base 60" in error
    assert "quotes" in error


def test_a_model_file_cannot_set_what_comes_from_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.yaml").write_text("class_path: LeNet\ninit_args: {num_outputs: 7}\n")
    config = str(PROJECT / "configs/mnist_lenet.yaml")
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", config, "--model", str(tmp_path / "m.yaml")])
    assert stop.value.code == 2
    assert "leave out model.num_outputs" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["data: {init_args: {seed: 3}}", "model: {init_args: {num_outputs: 7}}",
             "checkpoint: {mode: min}"],
)  # fmt: skip
def test_a_setting_whose_value_comes_from_elsewhere_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(text)
    config = str(PROJECT / "configs/mnist_lenet.yaml")
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", config, "--config", str(tmp_path / "c.yaml")])
    assert stop.value.code == 2
    assert "c.yaml: leave out" in capsys.readouterr().err
