"""The report of a run: its content, its escaping, and that it loads no other files."""

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from src.plots.classification import confusion_matrix
from src.runs.report import SECTIONS, verdict, write_report
from tests.conftest import PROJECT
from tests.plots.test_layout import DIGITS, counts

PICTURES = [name for captions in SECTIONS.values() for name in captions]
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Parses a report into table rows, texts by tag, warnings and images."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.warnings: list[str] = []
        self.images: dict[str, bytes] = {}
        self.rows: list[list[str]] = []
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: str(value) for name, value in attrs}
        assert "href" not in given
        assert not any(name.startswith("on") for name in given)
        if tag == "figure":
            self.figure = given["class"]
        if tag == "img":
            kind, _, content = given["src"].partition(",")
            assert kind == "data:image/png;base64"
            self.images[self.figure] = base64.b64decode(content, validate=True)
        else:
            assert "src" not in given
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")
        if tag == "tr":
            self.rows.append([])
        if given.get("class") == "warning":
            self.warnings.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("th", "td"):
            self.rows[-1].append(self.texts[tag][-1])
        if tag == "p" and self.warnings and not self.warnings[-1]:
            self.warnings[-1] = self.texts["p"][-1]

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data


def results(**changed: Any) -> dict[str, Any]:
    sizes = {"train": 55000, "val": 5000, "test": 10000}
    return {
        "model": "ReLUMLP", "command": "python -m src.cli fit --config mine.yaml", "seed": 7,
        "dataset": {"name": "MNIST", "source": "MNIST from shared/data", "sizes": sizes},
        "tested": 10000,
        "metrics": {"test/acc": 0.98437, "test/loss": 0.0512, "val/acc": 0.98, "train/lr": 0.1},
        "best_checkpoint": "checkpoints/best-epoch09.ckpt", "epochs": 10, "steps": 4300,
        "parameters": 109386, "seconds": {"fit": 12.34, "total": 15.0},
        "samples_per_second": 45678.9, "device": "cpu: 2 threads", "precision": "32-true",
        "versions": {"python": "3.11.1", "torch": "2.12.0"},
        "git": {"commit": "0123abc", "dirty": False}, "resumed_by": [],
    } | changed  # fmt: skip


def page(changes: dict[str, tuple[Any, Any]] | None = None, **changed: Any) -> Page:
    Path("run").mkdir(exist_ok=True)
    path = write_report(Path("run"), results(**changed), changes or {})
    assert path == Path("run/report.html")
    return Page(path)


def test_the_report_shows_results_facts_and_the_command() -> None:
    shown = page()
    assert shown.texts["h1"] == shown.texts["title"] == ["ReLUMLP on MNIST"]
    assert shown.texts["p"] == ["98.44 % of 10,000 test samples correct"]
    assert shown.warnings == []
    rows = {row[0]: row[1] for row in shown.rows}
    assert rows["test/acc"] == "98.44 %"
    assert rows["test/loss"] == "0.0512"
    assert rows["val/acc"] == "98.00 %"
    assert "train/lr" not in rows
    assert rows["epochs"] == "10 (4300 steps)"
    assert rows["seconds"] == "12.3 fit, 15.0 total"
    assert rows["samples per second"] == "45,679"
    assert rows["parameters"] == "109,386"
    assert rows["data"] == "MNIST from shared/data\n55,000 train, 5,000 val, 10,000 test"
    assert rows["device"] == "cpu: 2 threads, 32-true"
    assert rows["seed"] == "7"
    assert rows["versions"] == "python 3.11.1, torch 2.12.0"
    assert rows["checkpoint"] == "checkpoints/best-epoch09.ckpt"
    (command,) = shown.texts["pre"]
    assert command == "git checkout 0123abc\npython -m src.cli fit --config mine.yaml"


def test_the_report_of_a_regression_shows_its_error() -> None:
    data = {"name": "Line", "source": "drawn here", "sizes": {"test": 1000}, "noise_floor": 0.25}
    metrics = {"test/mse": 0.254321, "test/loss": 0.254321}
    shown = page(dataset=data, metrics=metrics, model="Linear", tested=1000)
    assert shown.texts["p"] == ["mean squared error 0.2543 on 1,000 test samples"]
    assert ["noise floor", "0.25 (expected mse of a perfect predictor)"] in shown.rows
    assert verdict(results()) != verdict(results(dataset=data, metrics=metrics))


def test_pictures_are_embedded_in_order() -> None:
    figures = Path("run/figures")
    figures.mkdir(parents=True)
    for name in PICTURES[::-1]:
        (figures / f"{name}.png").write_bytes(b"\x89PNG " + name.encode())
    confusion_matrix(counts(DIGITS), DIGITS).savefig(figures / "confusion_matrix.png")
    (figures / "epoch02").mkdir()
    (figures / "epoch02/reliability.png").write_bytes(b"of another epoch")
    shown = page()
    assert list(shown.images) == PICTURES
    for name, content in shown.images.items():
        assert content == (figures / f"{name}.png").read_bytes()
    assert shown.texts["h2"][: len(SECTIONS)] == list(SECTIONS)
    captions = {name: text for part in SECTIONS.values() for name, text in part.items()}
    assert [text.strip() for text in shown.texts["figcaption"]] == list(captions.values())
    assert shown.texts["code"] == [f"figures/{name}.png" for name in PICTURES]


def test_without_pictures_their_headings_are_omitted() -> None:
    shown = page()
    assert shown.images == {}
    assert shown.texts["h2"] == [
        "Settings that differ from the defaults",
        "How to reproduce this run",
    ]
    Path("run/figures").mkdir()
    Path("run/figures/units.png").write_bytes(b"PNG")
    assert page().texts["h2"][0] == "How it was trained"


def test_the_report_loads_no_other_files() -> None:
    Path("run/figures").mkdir(parents=True)
    Path("run/figures/curves.png").write_bytes(b"PNG")
    source = page().source
    assert re.findall("https?:|@import|url\\(|<script|<link|<iframe", source) == []
    assert re.findall('src="(.{5})', source) == ["data:"]


def test_html_in_values_is_escaped() -> None:
    evil = "<script>alert('1')</script>&amp;\"<img src=x onerror=y>"
    data = {"name": evil, "source": evil + "NOT MNIST", "sizes": {"test": 1, evil: 2}}
    texts = dict.fromkeys(("model", "command", "best_checkpoint", "device", "precision"), evil)
    shown = page(
        {evil: (evil, evil)}, dataset=data, metrics={"test/acc": 1.0, f"test/{evil}": 0.5},
        versions={evil: evil}, git={"commit": evil, "dirty": True}, **texts,
    )  # fmt: skip
    assert "script" not in shown.texts
    assert shown.images == {}
    assert shown.texts["h1"] == [f"{evil} on {evil}"]
    assert shown.texts["pre"] == [f"git checkout {evil}\n{evil}"]
    assert [evil, evil, evil] in shown.rows
    assert [f"test/{evil}", "0.5"] in shown.rows


def test_uncommitted_changes_give_a_warning() -> None:
    shown = page(git={"commit": "0123abc", "dirty": True})
    assert len(shown.warnings) == 1
    assert "uncommitted changes" in shown.warnings[0]


def test_substitute_data_give_a_warning() -> None:
    data = results()["dataset"] | {"source": "8x8 digits of scikit-learn, NOT MNIST"}
    assert page(dataset=data).warnings == ["8x8 digits of scikit-learn, NOT MNIST"]


def test_a_test_without_training_and_git_has_a_report() -> None:
    untrained = {"epochs": None, "steps": None, "samples_per_second": None}
    shown = page(git=None, seconds={"fit": None, "total": 1.0}, **untrained)
    assert shown.texts["pre"] == ["python -m src.cli fit --config mine.yaml"]
    assert shown.warnings == []
    assert "epochs" not in [row[0] for row in shown.rows]


def test_changed_settings_are_a_table() -> None:
    changes = {"model": ("ReLUMLP", None), "lr": (0.1, 0.001), "clip": (None, 0), "on": (False, 1)}
    shown = page(changes)
    assert [row for row in shown.rows if len(row) == 3] == [
        ["setting", "here", "default"], ["model", "ReLUMLP", ""], ["lr", "0.1", "0.001"],
        ["clip", "None", "0"], ["on", "False", "1"],
    ]  # fmt: skip


@pytest.mark.parametrize("config", ["mnist_logistic", "line_noisy"])
@pytest.mark.usefixtures("pictures")
def test_a_run_writes_a_report_of_its_results_and_settings(
    config: str, run: Callable[..., dict[str, Any]]
) -> None:
    small = ["--data.val_size=50"] if config.startswith("mnist") else []
    path = str(PROJECT / f"configs/{config}.yaml")
    often = ["--trainer.max_epochs=2", "--trainer.check_val_every_n_epoch=1"]
    only = ["--figures.only=[curves,line_fit]", "--trainer.enable_progress_bar=false"]
    found = run("fit", "--config", path, *small, *often, *only)
    folder = Path(f"lightning_logs/{config}/version_0")
    shown = Page(folder / "report.html")
    assert shown.texts["p"][0] == verdict(found)
    assert json.loads((folder / "results.json").read_text()) == found
    assert set(shown.images) == {"curves"} | ({"line_fit"} if config == "line_noisy" else set())
    for name, content in shown.images.items():
        assert content == (folder / f"figures/{name}.png").read_bytes()
    differing = {row[0]: row[1:] for row in shown.rows if len(row) == 3}
    assert differing["trainer.max_epochs"][0] == "2"
    assert differing["model"] == [found["model"], ""]
    assert "seed_everything" not in differing
    assert ("data.val_size" in differing) == bool(small)
