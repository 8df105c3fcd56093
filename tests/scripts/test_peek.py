"""The peek tool shows the content of any checkpoint, and runs no code from it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.peek import main
from tests.conftest import PROJECT
from tests.runs.test_evil_checkpoints import FILES as EVIL
from tests.runs.test_evil_checkpoints import good  # noqa: F401  (a fixture)


@pytest.fixture(scope="module")
def cache() -> list[Path]:
    """The checkpoint trained for these tests, once there is one."""
    return []


@pytest.fixture
def folder(run: Any, cache: list[Path]) -> Path:
    if not cache:
        config = PROJECT / "configs/mnist_lenet.yaml"
        short = ("--data.val_size=50", "--trainer.max_epochs=1")
        cache.append(Path(run("fit", "--config", config, *short)["best_checkpoint"]).resolve())
    return cache[0].parents[1]


def shown(capsys: pytest.CaptureFixture[str], name: Any) -> dict[str, Any]:
    capsys.readouterr()
    main([str(name), "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_best_checkpoint_of_a_run_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [best] = folder.glob("checkpoints/best-*.ckpt")
    found = shown(capsys, folder)
    assert found == shown(capsys, best)
    assert found["file"] == {
        "path": str(best), "bytes": best.stat().st_size, "checksum": "SHA-256, valid"
    }  # fmt: skip
    assert found["model"]["class"] == "LeNet"
    assert found["model"]["optimizer.momentum"] == 0.9
    assert found["data"]["class"] == "MNIST"
    assert found["data"]["pad"] == 2
    assert found["state"] == {"epoch, from 0": 0, "steps": 3, "bytes of optimizer": 4 * 61706}
    results = json.loads((folder / "results.json").read_text())
    assert found["metrics"]["val/acc"] == results["metrics"]["val/acc"]
    assert found["made by"]["command"] == results["command"]
    assert found["made by"]["torch"] == results["versions"]["torch"]
    assert found["made by"]["device"] == results["device"]
    assert sum(one["values"] for one in found["tensors"]) == 61706
    first = {"shape": [6, 1, 5, 5], "values": 150, "type": "float32", "bytes": 600}
    assert found["tensors"][0] == {"tensor": "net.0.weight", **first}
    state = torch.load(best, weights_only=True)["MNIST"]
    for name in ("mean", "std"):
        assert found["normalisation"][name] == pytest.approx([float(state[name])], abs=1e-3)


def test_tables_fit_a_screen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    main([str(folder)])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    for text in ("LeNet", "optimizer.lr", "net.11.bias", "61,706", "SHA-256, valid"):
        assert f" {text} " in printed


def test_no_model_is_imported() -> None:
    torch.save({"state_dict": {}, "loops": {}, "hyper_parameters": {"_class_path": "evil.Net"}},
               "x.ckpt")  # fmt: skip
    Path("evil.py").write_text("open('canary', 'w')\n")
    command = [sys.executable, "-m", "scripts.peek", "x.ckpt"]
    path = {"PYTHONPATH": f"{PROJECT}:."}
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=True)
    assert "Net" in done.stdout
    assert not Path("canary").exists()


def test_a_foreign_checkpoint_is_shown_without_its_missing_parts(
    good: dict[str, Any],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in list(good):
        if name not in ("state_dict", "loops"):
            without = {key: value for key, value in good.items() if key != name}
            torch.save(without, "part.ckpt")
            main(["part.ckpt"])
    torch.save({"state_dict": good["state_dict"], "loops": {}}, "part.ckpt")
    found = shown(capsys, "part.ckpt")
    assert found["file"]["checksum"] == "none"
    assert found["tensors"][0]["tensor"] == "net.1.weight"


@pytest.mark.parametrize("wrong", [None, 5, [1], {5: {6: 7}, "_class_path": 8}])
def test_parts_of_an_unexpected_type_are_ignored(
    wrong: Any,
    good: dict[str, Any],  # noqa: F811
) -> None:
    for name in set(good) - {"state_dict", "loops"}:
        torch.save({**good, name: wrong}, "odd.ckpt")
        main(["odd.ckpt"])
        main(["odd.ckpt", "--json"])
    for wrongs in ({"metrics": wrong, "commands": wrong}, {"decides": wrong, "rounds": wrong}):
        torch.save({**good, "record": wrongs, "identity": wrongs}, "odd.ckpt")
        main(["odd.ckpt"])


def test_control_characters_and_markup_are_escaped(
    good: dict[str, Any],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save({**good, "hyper_parameters": {"[/red]": "\x1b[2J", "a\nb": "[bold]c"}}, "odd.ckpt")
    main(["odd.ckpt"])
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    for text in ("[/red]", r"'\x1b[2J'", r"'a\nb'", "[bold]c"):
        assert text in printed


def assert_refused(name: Any, capsys: pytest.CaptureFixture[str], message: str) -> None:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(name)])
    error = capsys.readouterr().err
    assert stop.value.code == 1
    assert message in error
    assert len(error.strip().splitlines()) <= 3


@pytest.mark.parametrize("make", EVIL, ids=lambda make: make.__name__)
def test_pickled_code_is_refused(
    make: Any,
    good: dict[str, Any],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    make(good)
    assert_refused("evil.ckpt", capsys, "evil.ckpt")
    assert not Path("canary").exists()


def test_other_files_are_refused(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [best] = folder.glob("checkpoints/best-*.ckpt")
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 1
    Path("flipped.ckpt").write_bytes(content)
    assert_refused("flipped.ckpt", capsys, "is damaged: its checksum is wrong")
    assert_refused("missing.ckpt", capsys, "is not a file; expected a checkpoint")
    assert_refused(folder / "config.yaml", capsys, "not a checkpoint")
    assert_refused(tmp_path, capsys, "is not a run folder")
    Path("empty").mkdir()
    monkeypatch.chdir("empty")
    assert_refused("latest", capsys, "there is no run")
