"""Tags and notes: given to a run, kept when it is resumed or repeated, and shown by `compare`."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compare.__main__ import main as compare
from src.cli import main
from tests.conftest import PROJECT
from tests.scripts.test_compare import config, write_run

Run = Callable[..., dict[str, Any]]
LINE = ["fit", "--config", str(PROJECT / "configs/line.yaml"), "--trainer.max_epochs=5"]
FOLDER = Path("lightning_logs/line/version_0")


def saved(folder: Path = FOLDER) -> list[Any]:
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    return [settings["tag"], settings["note"]]


def test_tags_and_note_are_saved_and_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    note = "lr: [red]as in the paper"  # neither YAML nor markup
    results = run(*LINE, "--tag", "baseline", "--tag=for class", "--tag", "1", "--note", note)
    assert saved() == [["baseline", "for class", "1"], note]
    assert [results["tags"], results["note"]] == saved()
    printed = capsys.readouterr().out
    assert "baseline, for class, 1" in printed
    assert note in printed


def test_a_run_without_them_has_none(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    results = run(*LINE)
    assert saved() == [[], None] == [results["tags"], results["note"]]
    assert " tags " not in capsys.readouterr().out


def test_resuming_and_repeating_keep_tags_and_add_to_them(run: Run) -> None:
    run(*LINE, "--tag", "a", "--note", "one")
    (FOLDER / "results.json").unlink()  # as if it had been killed before its test
    results = run(*LINE, "--resume", str(FOLDER), "--tag", "a", "--tag", "b")
    assert [results["tags"], results["note"]] == saved() == [["a", "b"], "one"]
    assert run("test", "--run", str(FOLDER))["tags"] == ["a", "b"]
    run("fit", "--config", str(FOLDER / "config.yaml"), "--note", "two")
    assert saved(FOLDER.with_name("version_1")) == [["a", "b"], "two"]


def test_a_tag_is_no_reason_to_refuse_a_finished_run(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*LINE)
    with pytest.raises(SystemExit) as stop:
        main([*LINE, "--resume", str(FOLDER), "--tag", "new"])
    assert stop.value.code == 0
    results = run(*LINE[:-1], "--trainer.max_epochs=6", "--resume", str(FOLDER), "--tag", "new")
    assert (results["epochs"], results["tags"]) == (6, ["new"])
    assert (FOLDER / "test_predictions-epoch5.csv").exists()


def labelled(tag: Any = None, note: str | None = None) -> dict[str, Any]:
    return config() | {"tag": tag or [], "note": note}


@pytest.fixture
def tagged() -> None:
    """Three seeds with other tags, one of which is edited by hand, and a row without any."""
    for seed, tag in enumerate((["a", "b"], "a", ["b"])):
        write_run(Path(f"runs/mlp/v{seed}"), labelled(tag, f"note {seed % 2} <b>"), seed)
    write_run(Path("runs/mlp/v3"), config(0.01))


def test_runs_that_differ_in_tags_share_a_row_that_shows_all(
    tagged: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(["runs", "--csv", "t.csv", "--html", "p.html"]) == 0
    rows = [*csv.DictReader(Path("t.csv").read_text().splitlines())]
    assert [(row["seeds"], row["tags"]) for row in rows] == [("3", "a, b"), ("1", "")]
    assert rows[0]["notes"] == "note 0 <b>; note 1 <b>"
    out = capsys.readouterr().out
    assert "a, b" in out
    assert "lr 0.1: note 0 <b>\nlr 0.1: note 1 <b>\n" in out
    assert "lr 0.1: note 1 &lt;b&gt;" in Path("p.html").read_text()


@pytest.mark.parametrize(("tags", "seeds"), [(["a"], "2"), (["b"], "2"), (["a", "b"], "1")])
def test_runs_are_filtered_by_all_given_tags(tagged: None, tags: list[str], seeds: str) -> None:
    words = [word for tag in tags for word in ("--tag", tag)]
    assert compare(["runs", "--csv", "t.csv", *words]) == 0
    assert [row["seeds"] for row in csv.DictReader(Path("t.csv").read_text().splitlines())] == [
        seeds
    ]


def test_an_unknown_tag_is_refused(tagged: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(["runs", "--tag", "c"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: --tag c: no run has this tag; they have a, b.\nGive it to a ")
