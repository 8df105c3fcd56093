"""A run on an image folder is used without the folder, and judged on another one."""

import csv
import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from src.cli import main
from src.runs.checkpoint_io import read_checkpoint
from tests.conftest import PROJECT, write_folder

Run = Callable[..., dict[str, Any]]
RUN = Path("lightning_logs/folder_lenet/version_0")
CLASSES = {"cat": 30, "dog": 120, "eel": 220}


@pytest.fixture
def trained(run: Run) -> dict[str, Any]:
    """The results of a run whose folder has been moved away since."""
    write_folder(Path("pets"), CLASSES, train=8, test=4)
    found = run("fit", "--config", str(PROJECT / "configs/folder_lenet.yaml"), "--data.path=pets",
                "--data.val_size=4", "--trainer.max_epochs=2", "--figures.only=[]")  # fmt: skip
    shutil.move("pets", "moved")
    return found


def stopped(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*words])
    return int(str(stop.value.code))


def test_it_predicts_any_image_also_a_blank_one(trained: dict[str, Any]) -> None:
    Image.new("RGB", (20, 30), (90, 90, 90)).save("blank.png")
    main(["predict", "--run", str(RUN), "--images", "blank.png", "moved/test/dog"])
    rows = [*csv.DictReader((RUN / "predict/predictions.csv").read_text().splitlines())]
    assert [*rows[0]] == ["file", "prediction", "cat", "dog", "eel"]
    assert len(rows) == 5
    assert sum(float(rows[0][name]) for name in CLASSES) == pytest.approx(1, abs=1e-5)


def test_it_is_judged_on_another_folder_as_normalised_in_training(trained: dict[str, Any]) -> None:
    """A folder without training images gives the same result: mean and deviation are kept."""
    main(["test", "--run", str(RUN), "--data.path=moved"])
    shutil.rmtree("moved/train")
    main(["test", "--run", str(RUN), "--data.path=moved"])
    for folder in ("test", "test-2"):
        metrics = json.loads((RUN / folder / "results.json").read_text())["metrics"]
        expected = {k: v for k, v in trained["metrics"].items() if k.startswith("test/")}
        assert metrics == expected


def test_it_is_judged_on_some_of_its_classes(trained: dict[str, Any]) -> None:
    shutil.rmtree("moved/train")
    main(["predict", "--run", str(RUN), "--data.path=moved"])
    for name in ("cat", "eel"):
        shutil.rmtree(f"moved/test/{name}")
    main(["predict", "--run", str(RUN), "--data.path=moved"])
    every, some = (
        [*csv.DictReader((RUN / folder / "predictions.csv").read_text().splitlines())]
        for folder in ("predict", "predict-2")
    )
    dogs = [{**row, "index": ""} for row in every if row["label"] == "dog"]
    assert [{**row, "index": ""} for row in some] == dogs
    assert len(dogs) == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["test", "--run", str(RUN)], "error: --data.path pets does not exist."),
        (["predict", "--run", str(RUN)], "error: --data.path pets does not exist."),
        (
            ["fit", "--resume", str(RUN), "--trainer.max_epochs=3"],
            "--data.path pets does not exist",
        ),
        (["test", "--run", str(RUN), "--data.path=odd"], "was not trained on: yak."),
        (["validate", "--run", str(RUN), "--data.path=odd"], "was not trained on: yak."),
        (["validate", "--run", str(RUN), "--data.path=less"], "no images to validate on."),
    ],
)
def test_what_needs_images_says_so(
    words: list[str], told: str, trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(Path("odd"), {"cat": 0, "yak": 9}, train=2, test=2)
    write_folder(Path("less"), {"cat": 0, "dog": 9}, train=2, test=2)
    shutil.rmtree("less/train")
    before = sorted(RUN.rglob("*"))
    assert stopped(*words) == 1
    assert told in capsys.readouterr().err
    assert sorted(RUN.rglob("*")) == before


def test_it_is_exported_and_drawn_on(trained: dict[str, Any]) -> None:
    importlib.import_module("scripts.export.__main__").main([str(RUN)])
    record = json.loads((RUN / "export/export.json").read_text())
    assert record["checked_on"]["source"] == "random pixels, since pets does not exist"
    page = importlib.import_module("scripts.shared.trained").open_run(str(RUN), "draw")
    checkpoint = read_checkpoint(next(RUN.glob("checkpoints/best-*.ckpt")))
    assert page.data.class_names == [*CLASSES]
    assert torch.equal(page.data.mean, checkpoint["ImageFolder"]["mean"])
    assert importlib.import_module("scripts.draw.samples").samples(page.data) == []
