"""The comparison of runs: settings, statistics, excluded runs, tables and pictures."""

import base64
import csv
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import scripts.compare.rows as compare_rows
import scripts.compare.runs as compare_runs
from scripts.compare.__main__ import main
from scripts.compare.curves import overlay
from scripts.compare.runs import folders
from scripts.compare.tables import number, short
from src.plots.comparison import STYLES, Curve, _spread, overlaid_curves
from src.plots.style import CYCLE
from src.runs.find import header

ACC = {0: 0.90, 1: 0.92, 2: 0.97}  # by seed


def config(lr: float = 0.1, hidden: list[int] | None = None, **trainer: Any) -> dict[str, Any]:
    adam = {"class_path": "torch.optim.Adam", "init_args": {"lr": lr, "fused": None}}
    sizes = {"hidden": hidden or [64, 32], "optimizer": adam, "scheduler": None}
    return {
        "seed_everything": 0,
        "trainer": {"max_epochs": 2, "logger": {"init_args": {"save_dir": "x"}}, **trainer},
        "model": {"class_path": "src.models.ReLUMLP", "init_args": sizes},
        "data": {"class_path": "src.data.MNIST", "init_args": {"root": None, "train_size": None}},
        "checkpoint": {"monitor": "val/acc", "dirpath": None},
        "ckpt_path": None,
    }


def write_run(folder: Path, settings: dict[str, Any], seed: int = 0, **changed: Any) -> Path:
    """Write the files of a run with accuracy `ACC[seed]`; `changed` overrides results."""
    folder.mkdir(parents=True)
    acc = changed.pop("acc", ACC.get(seed))
    results = {
        "epochs": 2, "seed": seed, "device": "cpu", "precision": "32-true", "parameters": 1234,
        "dataset": {"source": "files", "sizes": {"train": 300}}, "seconds": {"fit": 2.0 + seed},
        "metrics": {"test/acc": acc, "test/loss": 1 - acc, "val/acc": acc - 0.01},
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results | changed))
    (folder / "config.yaml").write_text(header("fit") + yaml.safe_dump(settings))
    rows = [f"{50 * e},{e}.0,val/acc,{acc - 0.1 / e}\n" for e in (1, 2)]
    (folder / "curves.csv").write_text("step,epoch,name,value\n" + "".join(rows))
    return folder


@pytest.fixture
def logs() -> Path:
    """Three seeds with lr 0.1, two with 0.01, and one of another model."""
    root = Path("lightning_logs")
    for seed in range(3):
        write_run(root / f"mlp/version_{seed}", config(), seed)
    for seed in range(2):
        write_run(root / f"mlp/version_{seed + 3}", config(0.01), seed, acc=ACC[seed] - 0.5)
    other = config()
    other["model"] = {"class_path": "src.models.LeNet", "init_args": {"bias": False}}
    write_run(root / "lenet/version_0", other, parameters=61706, acc=0.99)
    return root


def table(*words: str) -> list[dict[str, str]]:
    assert main([*words, "--csv", "t.csv"]) == 0
    return list(csv.DictReader(Path("t.csv").read_text().splitlines()))


def test_a_row_is_mean_and_sample_deviation_over_the_seeds(logs: Path) -> None:
    row = next(row for row in table() if row["model.optimizer.lr"] == "0.1")
    accuracies = np.array(list(ACC.values()))
    assert row["seeds"] == "3"
    assert float(row["test/acc"]) == pytest.approx(accuracies.mean())
    assert float(row["test/acc sd"]) == pytest.approx(accuracies.std(ddof=1))
    assert float(row["seconds"]) == 3
    pair = table("--where", "lr=0.01")[0]
    assert float(pair["test/acc sd"]) == pytest.approx(np.std([0.4, 0.42], ddof=1))
    assert row["runs"].split() == [f"lightning_logs/mlp/version_{n}" for n in range(3)]


def test_latest_is_the_run_that_saved_last(logs: Path) -> None:
    last = write_run(logs / "mlp/version_9", config(0.5))
    os.utime(last / "config.yaml", (2e9, 2e9))
    assert folders(["latest"]) == [last]


def test_a_single_run_has_no_deviation(logs: Path) -> None:
    row = table("--where", "model=LeNet")[0]
    assert (row["seeds"], row["test/acc"], row["test/acc sd"]) == ("1", "0.99", "")
    assert number("test/acc", [0.5]) == "50.00"
    assert number("test/acc", [0.5, 0.6]) == "55.00 ±7.07"
    assert number("test/loss", [0.00002]) == "2e-05"
    assert number("test/loss", []) == "-"


def test_only_settings_that_differ_are_columns(logs: Path) -> None:
    # hidden and fused belong to one model only, so they follow from the column model.
    assert list(table()[0])[:3] == ["model", "model.optimizer.lr", "seeds"]
    assert next(iter(table("--where", "model=ReLUMLP")[0])) == "model.optimizer.lr"
    assert next(iter(table("--where", "lr=0.01")[0])) == "seeds"


def read(*folders: Path) -> list[compare_runs.Run]:
    return [run for run in map(compare_runs.read, folders) if run]


def differing(*configs: dict[str, Any], **facts: Any) -> list[str]:
    folders = [write_run(Path(f"runs/v{i}"), c, **facts) for i, c in enumerate(configs)]
    return compare_rows.differing(compare_rows.grouped(read(*folders)))


def test_paths_loggers_and_figures_are_not_settings() -> None:
    figures = [{"class_path": "src.callbacks.ConfusionMatrix"}]
    two = config(callbacks=figures, logger=None, enable_progress_bar=False, accelerator="cpu")
    two |= {"seed_everything": 5, "checkpoint": {"monitor": "val/acc"}}
    two["data"]["init_args"]["root"] = "elsewhere"
    assert differing(config(), two) == []


def test_a_callback_that_changes_the_run_is_a_setting() -> None:
    def stopping(patience: int) -> dict[str, Any]:
        spec = {"class_path": "lightning.EarlyStopping", "init_args": {"patience": patience}}
        return config(callbacks=[spec])

    stop = "trainer.callbacks.EarlyStopping"
    assert differing(config(), stopping(3)) == [stop]
    runs = [write_run(Path(f"other/v{n}"), stopping(n)) for n in (3, 5)]
    groups = compare_rows.grouped(read(*runs))
    assert compare_rows.differing(groups) == [f"{stop}.patience"]


def test_none_is_different_from_a_value() -> None:
    one, two = config(), config()
    spec = {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 3}}
    two["model"]["init_args"]["scheduler"] = spec
    two["data"]["init_args"]["augment"] = {"rotation": 8.0}
    one["data"]["init_args"]["augment"] = None
    assert differing(one, two) == ["model.scheduler", "data.augment"]
    assert {row["model.scheduler"] for row in table("runs")} == {"none", "StepLR"}


def test_an_argument_that_an_older_run_of_the_class_lacks_is_shown() -> None:
    newer = config()
    newer["model"]["init_args"]["bias"] = True
    assert differing(config(), newer) == ["model.bias"]


def test_an_argument_of_several_classes_is_shown_where_it_differs(logs: Path) -> None:
    other = config(hidden=[5])
    other["model"]["class_path"] = "src.models.SigmoidMLP"
    write_run(logs / "sigmoid/version_0", other)
    hidden = {row["model"]: row["model.hidden"] for row in table()}
    assert hidden == {"LeNet": "", "ReLUMLP": "[64, 32]", "SigmoidMLP": "[5]"}


def test_runs_on_substitute_data_are_a_row_of_their_own(logs: Path) -> None:
    write_run(
        logs / "mlp/digits",
        config(),
        1,
        dataset={"source": "digits, NOT MNIST", "sizes": {"train": 200}},
    )
    rows = table("--where", "lr=0.1", "--where", "model=ReLUMLP")
    assert {row["data.train_size"]: row["seeds"] for row in rows} == {"300": "3", "200": "1"}
    assert {row["data.source"] for row in rows} == {"", "NOT MNIST"}


def test_the_newest_of_equal_runs_is_used_and_the_others_are_reported(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = write_run(logs / "mlp/again", config(), 2, acc=0.5)
    os.utime(again / "results.json", (1, 1))
    row = table("--where", "lr=0.1", "--where", "model=ReLUMLP")[0]
    assert float(row["test/acc"]) == pytest.approx(0.93)
    assert "newer run has the same settings and seed: 1." in capsys.readouterr().out
    os.utime(again / "results.json", (9e9, 9e9))
    row = table("--where", "lr=0.1", "--where", "model=ReLUMLP")[0]
    assert float(row["test/acc"]) == pytest.approx((0.9 + 0.92 + 0.5) / 3)


@pytest.mark.parametrize(
    ("condition", "seeds"),
    [
        ("lr=1e-2", ["2"]), ("model.optimizer.lr=0.1", ["3"]), ("model=lenet", ["1"]),
        ("hidden=[64,32]", ["3", "2"]), ("seed=1", ["1", "1"]), ("config=lenet", ["1"]),
    ],
)  # fmt: skip
def test_where_selects_runs(logs: Path, condition: str, seeds: list[str]) -> None:
    assert [row["seeds"] for row in table("--where", condition)] == seeds


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("test/acc", ["0.99", "0.93", "0.41"]), ("test/loss", ["0.99", "0.93", "0.41"]),
        ("time", ["0.99", "0.41", "0.93"]), ("parameters", ["0.93", "0.41", "0.99"]),
        ("lr", ["0.41", "0.93", "0.99"]), ("model", ["0.99", "0.93", "0.41"]),
    ],
)  # fmt: skip
def test_sort_orders_rows(logs: Path, name: str, order: list[str]) -> None:
    assert [f"{float(row['test/acc']):.2f}" for row in table("--sort", name)] == order


def test_metrics_can_be_chosen(logs: Path) -> None:
    assert list(table("--metrics", "val/acc,test/loss")[0])[3:7] == [
        "val/acc", "val/acc sd", "test/loss", "test/loss sd",
    ]  # fmt: skip


def test_regression_shows_its_error(logs: Path) -> None:
    write_run(Path("r/v0"), config(), metrics={"test/mse": 0.5, "val/mse": 0.25, "train/mse": 1})
    assert list(table("r")[0])[1:5] == ["test/mse", "test/mse sd", "val/mse", "val/mse sd"]


def test_the_terminal_shows_all_in_80_columns(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--where", "model=ReLUMLP"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["lr", "seeds", "test/acc", "%"]
    assert lines[2].split()[:4] == ["0.1", "3", "93.00", "±3.61"]
    write_run(logs / "wide/v0", config(0.001, [9] * 30, max_epochs=7, gradient_clip_val=3.5))
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("run")  # one column for all settings, not truncated
    assert max(map(len, out.splitlines())) <= 80
    for run in ("wide", "lenet", "mlp, lr 0.1", "--csv FILE"):
        assert run in out
    assert "61,706" in out


def test_short_names_are_unique() -> None:
    names = ["model.optimizer.lr", "model.name", "data.name"]
    assert short(names) == ["lr", "model.name", "data.name"]


def test_the_page_is_self_contained(logs: Path) -> None:
    other = config()
    other["model"]["init_args"]["loss"] = "<script>&"
    write_run(logs / "odd/version_0", other)
    assert main(["--html", "page.html", "--picture", "deep/p.png"]) == 0
    page = Path("page.html").read_text()
    assert "http" not in page
    assert "<script>" not in page
    assert "&lt;script&gt;&amp;" in page
    assert 'name="viewport"' in page
    assert "LeNet" in page
    assert "93.00 ±3.61" in page
    image = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert image
    assert base64.b64decode(image[1]) == Path("deep/p.png").read_bytes()
    assert Path("deep/p.png").read_bytes().startswith(b"\x89PNG")


def test_runs_without_curves_are_counted(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (logs / "mlp/version_0/curves.csv").unlink()
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "Not in the picture, as val/acc is missing: 1 of 6." in out
    assert "Written: lightning_logs/compare.png" in out
    for path in logs.rglob("curves.csv"):
        path.unlink()
    (logs / "compare.png").unlink()
    assert main(["--html", "page.html"]) == 0
    assert "No picture" in capsys.readouterr().out
    assert not (logs / "compare.png").exists()
    assert Path("page.html").read_text().count("<img") == 1  # of the seeds


def test_runs_of_test_are_excluded_and_unfinished_runs_are_named(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(logs / "mlp/a_test", config(0.7), epochs=None, seconds={"fit": None})
    (write_run(logs / "mlp/killed", config(0.8)) / "results.json").unlink()
    predicted = write_run(logs / "mlp/predicted", config(0.9))
    (predicted / "results.json").unlink()
    (predicted / "config.yaml").write_text(header("predict"))
    assert len(table()) == 3
    out = capsys.readouterr().out
    assert "Excluded, as not finished: 1 (lightning_logs/mlp/killed)." in out


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("results.json", '{"epochs": 2, "me'), ("results.json", "[]"), ("results.json", "\x00"),
        ("results.json", '{"epochs": 2}'), ("config.yaml", "model: [1"), ("config.yaml", "word"),
        ("config.yaml", None), ("curves.csv", "step,epoch,name,value\n1,x,val/acc,0.5\n"),
        ("curves.csv", "a,b\n1,2\n"), ("curves.csv", "step,epoch,name,value\n1,1.0,val/acc"),
    ],
)  # fmt: skip
def test_a_damaged_run_is_named_and_the_others_are_shown(
    logs: Path, capsys: pytest.CaptureFixture[str], file: str, text: str | None
) -> None:
    path = logs / "lenet/version_0" / file
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert main(["--csv", "t.csv"]) == 1
    captured = capsys.readouterr()
    assert str(path) in captured.err
    assert len(captured.err.splitlines()) <= 3
    assert "Excluded, as damaged: 1." in captured.out
    assert len(Path("t.csv").read_text().splitlines()) == 3


def test_runs_are_selected_by_folders_and_patterns(logs: Path) -> None:
    assert [row["seeds"] for row in table("lightning_logs/mlp/version_[34]")] == ["2"]
    options = ("--where", "model=ReLUMLP")  # allowed between folders
    assert len(table("lightning_logs/lenet", *options, "lightning_logs/mlp")) == 2
    assert [row["seeds"] for row in table(str(logs.absolute() / "len*"), "lightning_logs/mlp")] == [
        "1", "3", "2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 2, "nowhere: no such folder"),
        (["lightning_logs/mlp/*/curves.csv"], 1, "No finished run in"),
        (["--where", "lrr=1"], 2, "--where lrr: no such name in these runs.\nDid you mean lr"),
        (["--where", "lr"], 2, "expected KEY=VALUE"),
        (["--where", "lr=5"], 1, "no run has this value; they have 0.01, 0.1."),
        (["--sort", "test/ac"], 2, "Did you mean test/acc"),
        (["--metrics", "test/acc,tes/loss"], 2, "--metrics tes/loss"),
        (["--curve", "val/accc"], 2, "Did you mean val/acc?"),
        (["--colour"], 2, "unrecognized arguments: --colour"),
        (["--csv", "lightning_logs"], 1, "lightning_logs cannot be written"),
    ],
)
def test_errors_are_short_and_name_the_cause(
    logs: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    with pytest.raises(SystemExit) as end:
        sys.exit(main(words))
    assert end.value.code == code
    report = capsys.readouterr().err
    assert report.startswith("error: ")
    assert message in report
    assert len(report.splitlines()) <= 3


def test_a_curve_is_the_mean_with_a_band_from_minimum_to_maximum() -> None:
    runs = [[0.1, 0.5], [0.3, 0.9], [0.2, 0.1]]
    axes = overlaid_curves([Curve("a", [1, 2], runs), Curve("b", [1], [[0.4]])], "val/acc").axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.mean(runs, axis=0))
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[1, 0.4]])
    (band,) = axes.collections  # a single run has no band
    corners = {tuple(np.round(point, 6)) for point in band.get_paths()[0].vertices}
    assert corners == {(1, 0.1), (1, 0.3), (2, 0.1), (2, 0.9)}
    assert [text.get_text() for text in axes.texts] == ["a", "b"]


def test_curves_differ_by_colour_then_by_style() -> None:
    curves = [Curve(str(i), [1, 2], [[i, i]]) for i in range(2 * len(CYCLE))]
    axes = overlaid_curves(curves, "val/loss").axes[0]
    looks = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
    assert looks == [(colour, style) for style in STYLES[:2] for colour in CYCLE]
    assert [text.get_color() for text in axes.texts[:7]] == CYCLE


def test_labels_keep_their_order_and_a_distance() -> None:
    placed = _spread([0.9, 0.3, 0.905, 0.99, 0.5, 0.5, 0], gap=0.1)
    np.testing.assert_allclose(placed, [0.8, 0.3, 0.9, 1, 0.45, 0.55, 0])
    np.testing.assert_allclose(_spread([0, 0.02], gap=0.1), [0, 0.1])


def test_seeds_are_averaged_where_all_have_a_value(logs: Path) -> None:
    path = logs / "mlp/version_0/curves.csv"
    path.write_text(path.read_text() + "150,3.0,val/acc,0.9\n175,3.5,val/acc,nan\n")
    runs = read(*(logs / f"mlp/version_{seed}" for seed in range(3)))
    name, (curve,) = overlay([runs], ["mlp"], None)
    assert (name, curve.label, curve.epochs) == ("val/acc", "mlp", [1, 2])
    np.testing.assert_allclose(curve.values, [[acc - 0.1, acc - 0.05] for acc in ACC.values()])
