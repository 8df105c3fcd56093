"""The settings of a machine: over the defaults, under all else, named where they are in force."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from scripts.many.groups import is_same
from scripts.many.resolved import resolved
from src.cli import main
from src.command.local import with_local
from src.errors import UserError
from src.local_file import VARIABLE, in_force, local_file, local_settings
from tests.conftest import PROJECT

Run = Callable[..., dict[str, Any]]
CONFIG = str(PROJECT / "configs/line.yaml")
LOGISTIC = str(PROJECT / "configs/mnist_logistic.yaml")


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that writes the settings of this machine."""

    def write(text: str) -> None:
        Path("local.yaml").write_text(text)
        monkeypatch.setenv(VARIABLE, "local.yaml")

    return write


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, dict[str, Any]]:
    """Return what --print_config prints: the first line, and the settings."""
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["fit", "--config", LOGISTIC, *words, "--print_config"])
    text = capsys.readouterr().out
    return text.partition("\n")[0], yaml.safe_load(text)


def test_the_tests_do_not_use_the_file_of_this_machine() -> None:
    assert local_file() is None


def test_it_is_over_the_defaults_and_under_configs_and_flags(
    local: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    local("threads: 2\nreport: false\ntrainer: {accelerator: cpu, logger+: CSVLogger}")
    head, settings = printed(capsys, "--trainer.logger.save_dir=x")
    assert head == "# Over the defaults, from local.yaml: threads, report, trainer.accelerator, " \
                   "trainer.logger+"  # fmt: skip
    assert settings["threads"] == 2
    assert settings["trainer"]["accelerator"] == "cpu"
    kinds = [one["class_path"].rpartition(".")[2] for one in settings["trainer"]["logger"]]
    assert kinds == ["TensorBoardLogger", "CSVLogger"]
    Path("c.yaml").write_text("threads: 3\nreport: true")
    settings = printed(capsys, "--config", "c.yaml", "--trainer.logger=false")[1]
    assert (settings["threads"], settings["report"], settings["trainer"]["logger"]) == (
        3, True, False
    )  # fmt: skip
    flags = ("--threads=4", "--trainer.logger.save_dir=x")
    assert printed(capsys, *flags)[1]["threads"] == 4


def test_what_is_in_force_is_kept_with_the_run(
    local: Callable[[str], None], data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local(f"threads: 2\nreport: false\ndata: {{root: {data_root}}}")
    monkeypatch.delenv("DATA_DIR", raising=False)
    main(["fit", "--config", LOGISTIC, "--data.val_size=50", "--trainer.max_steps=1",
          "--report=true"])  # fmt: skip
    folder = Path("lightning_logs/mnist_logistic/version_0")
    results = json.loads((folder / "results.json").read_text())
    assert results["local"] == {"threads": "2", "data.root": str(data_root)}
    assert results["config"] == "mnist_logistic"
    assert results["device"].endswith("2 threads")
    assert torch.get_num_threads() == 2
    head = (folder / "config.yaml").read_text().splitlines()[:4]
    assert head[1:3] == ["# threads: 2, by local.yaml", f"# data.root: {data_root}, by local.yaml"]
    local("threads: 1")
    main(["test", "--run", str(folder)])  # its own settings are over those of the machine
    results = json.loads((folder / "test/results.json").read_text())
    assert results["local"] == {}
    assert results["device"].endswith("2 threads")


def test_a_data_folder_at_home_is_in_force(
    local: Callable[[str], None], data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(data_root.parent))
    monkeypatch.delenv("DATA_DIR", raising=False)
    local(f"data: {{root: ~/{data_root.name}}}")
    with_local(["fit"])
    data = {"init_args": {"root": None}}
    assert os.environ["DATA_DIR"] == str(data_root)
    assert in_force({"data": data}) == {"data.root": str(data_root)}
    monkeypatch.setenv("DATA_DIR", "elsewhere")
    assert in_force({"data": data}) == {}


def test_a_file_that_cannot_be_read_is_named(
    local: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise PermissionError(13, "Permission denied")

    local("threads: 1")
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError, match=r"local.yaml cannot be read: Permission denied"):
        local_settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threads: many", ("--threads: Expected a whole number above 0, got many",
                           "threads is set in local.yaml.")),
        ("trainer: {logger: Wandb}", ("got Wandb", "Did you mean WandbLogger?",
                                      "trainer.logger is set in local.yaml.")),
        ("trainer: {max_epochs: 3}", ("local.yaml: trainer.max_epochs is no setting",)),
        ("thread: 3", ("local.yaml: thread is no setting of a machine",)),
        ("5: x", ("local.yaml: 5 is no setting of a machine",)),
        ("threads: [1\n", ("local.yaml, line 2 is not a YAML file",)),
        ("threads 3", ("local.yaml is not a YAML file",)),
        ("data: MNIST", ("local.yaml is not a YAML file",)),
        ("data: {root: 3}", ("local.yaml: data.root: expected a folder, got 3.",)),
    ],
)  # fmt: skip
def test_an_error_names_file_and_key(
    text: str, words: tuple[str, ...], local: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    local(text)
    with pytest.raises(SystemExit):
        main(["fit", "--config", CONFIG])
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert all(part in told for part in words)
    assert len(told.splitlines()) <= 3


def test_a_missing_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "none.yaml")
    with pytest.raises(SystemExit):
        main(["fit", "--config", CONFIG])
    assert f"{VARIABLE}=none.yaml: there is no such file" in capsys.readouterr().err


def test_two_machines_find_the_same_group(local: Callable[[str], None]) -> None:
    name, settings = resolved(["--config", CONFIG])
    record = {"name": name, "own": {}, "settings": settings, "words": []}
    local("threads: 2\nreport: false\ntrainer: {accelerator: cpu, logger: CSVLogger}")
    other = resolved(["--config", CONFIG, "--trainer.logger.save_dir=x"])
    assert other[1]["threads"] == 2
    assert torch.get_num_threads() == 1  # only the runs themselves use others
    assert is_same(record, *other, {})
    of_a_wheel = json.loads(json.dumps(record).replace('"src.', '"linenet.'))
    assert of_a_wheel != record
    assert is_same(of_a_wheel, *other, {})
    assert not is_same(record, *resolved(["--config", CONFIG, "--trainer.max_epochs=3"]), {})


@pytest.mark.parametrize("added", ["CSVLogger", "{class_path: CSVLogger}", "[CSVLogger]"])
def test_a_logger_of_files_is_added_without_its_folder(
    added: str, local: Callable[[str], None], run: Run
) -> None:
    local(f"trainer: {{logger+: {added}}}")
    run("fit", "--config", CONFIG, "--trainer.max_epochs=1", "--report=false")
    assert Path("lightning_logs/line/version_0/metrics.csv").is_file()
