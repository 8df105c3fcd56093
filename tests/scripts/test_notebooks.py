"""The lessons as notebooks: in step with their files, and every cell runs."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from jupytext.compare import NotebookDifference, compare_notebooks
from nbclient import NotebookClient

from scripts import notebooks
from scripts.lesson import lessons
from tests.conftest import PROJECT, REAL_DATA

NUMBERS = range(1, 7)


def committed(number: int) -> Any:
    return nbformat.read(lessons()[number].with_suffix(".ipynb"), as_version=4)


def executed(book: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run all cells in a folder of a project, without network."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # refuses at once
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("DATA_DIR", REAL_DATA or str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(folder / ".ipython"))
    client = NotebookClient(book, timeout=500, resources={"metadata": {"path": str(folder)}})
    return client.execute()


def copied(folder: Path) -> None:
    """Copy the project, so that pictures are written beside the copy."""
    for name in ("src", "scripts", "configs"):
        shutil.copytree(PROJECT / name, folder / name)


def outputs(book: Any) -> list[Any]:
    return [output for cell in book.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_notebook_is_its_lesson(number: int) -> None:
    """If this fails, run ./scripts/run notebooks all."""
    book, expected = committed(number), notebooks.notebook(lessons()[number])
    compare_notebooks(book, expected, "ipynb", allow_expected_differences=False)
    assert [cell.id for cell in book.cells] == [cell.id for cell in expected.cells]
    nbformat.validate(book)
    assert not outputs(book)


def test_equal_cells_have_ids_of_their_own(tmp_path: Path) -> None:
    lesson = tmp_path / "7_twice.py"
    lesson.write_text('"""Twice."""\n# %% [markdown]\n# # Twice\n' + "# %%\nprint(1)\n" * 3)
    book = notebooks.notebook(lesson)
    assert len(book.cells) == 5
    nbformat.validate(book)
    assert len({cell.id for cell in book.cells}) == 5


def test_a_changed_cell_is_noticed() -> None:
    book, expected = committed(1), notebooks.notebook(lessons()[1])
    book.cells[-3].source += " "
    with pytest.raises(NotebookDifference):
        compare_notebooks(book, expected, "ipynb", allow_expected_differences=False)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_notebook_begins_with_its_title_and_has_all_cells_of_the_lesson(number: int) -> None:
    title, set_up, *cells = committed(number).cells
    assert title.source.startswith(f"# Lesson {number}. ")
    assert "git clone" in set_up.source
    assert [cell.source for cell in cells] == [
        cell.source for cell in jupytext.read(lessons()[number]).cells[2:]
    ]


def test_all_links_lead_to_the_repository_of_the_project() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    address = settings["project"]["urls"]["Repository"]
    owner_and_name = address.removeprefix("https://github.com/")
    links = "\n".join((PROJECT / page).read_text() for page in notebooks.PAGES)
    files = re.findall(rf"colab\S+?/github/{owner_and_name}/blob/main/(\S+?)\)", links)
    assert len(files) == links.count("research.google.com/github/") == 7
    assert {PROJECT / file for file in files} == {
        path.with_suffix(".ipynb") for path in lessons().values()
    }
    moved = notebooks.linked(links, "https://github.com/someone/else-where.x")
    assert moved.count("/github/someone/else-where.x/blob/main/scripts/lessons/") == 7
    assert notebooks.linked(moved, address) == links


def test_it_writes_notebooks_and_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scripts/lessons").mkdir(parents=True)
    for name in ("pyproject.toml", *notebooks.PAGES):
        text = (PROJECT / name).read_text().replace("OWNER/linenet", "me/mine")
        (tmp_path / name).write_text(text.replace("me/mine/blob", "OLD/NAME/blob"))
    lesson = Path(shutil.copy(lessons()[1], tmp_path / "scripts/lessons"))
    monkeypatch.setattr(notebooks, "PROJECT", tmp_path)
    monkeypatch.setattr(notebooks, "lessons", lambda: {1: lesson})
    notebooks.main(["all"])
    book = nbformat.read(lesson.with_suffix(".ipynb"), as_version=4)
    assert "clone --quiet --depth 1 https://github.com/me/mine\n" in book.cells[1].source
    assert "%cd mine/scripts/lessons\n" in book.cells[1].source
    assert "github/me/mine/blob/main/" in (tmp_path / "README.md").read_text()
    assert "OLD/NAME" not in (tmp_path / "scripts/README.md").read_text()
    assert capsys.readouterr().out.startswith("1_tensors; links to https://github.com/me/mine in")


def test_a_number_selects_a_lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(notebooks, "write_whole", lambda path, _: written.append(path.name))
    notebooks.main(["3"])
    assert written == ["3_gradient_descent.ipynb", "README.md", "README.md"]


@pytest.mark.parametrize(("words", "message"), [([], "say which lesson"), (["7"], "choose from")])
def test_a_missing_or_unknown_lesson_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        notebooks.main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_every_cell_runs_and_shows_its_pictures(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(tmp_path)
    book = committed(number)
    book.cells[1].source += f"\nsys.path.insert(0, '{tmp_path}')"  # where src is not installed
    book = executed(book, tmp_path / "scripts/lessons", monkeypatch)
    shown = [output.data for output in outputs(book) if output.output_type == "display_data"]
    written = [path for path in (tmp_path / "lightning_logs/lessons").iterdir() if path.is_file()]
    assert len(shown) == len(written) > 0
    assert {path.name[0] for path in written} == {str(number)}
    for data in shown:
        image = re.match(r'<img alt="\d_\w+" src="data:image/(png|gif);base64,', data["text/html"])
        assert image  # in the notebook itself, not a link to a file
    assert not [output for output in outputs(book) if output.output_type == "execute_result"]
    errors = [output.text for output in outputs(book) if output.get("name") == "stderr"]
    assert not [text for text in errors if not text.startswith("findfont: ")]  # matplotlib's cache


@pytest.mark.slow
def test_a_notebook_alone_fetches_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clone is one of this project; the installation is left out, since it needs network."""
    origin = tmp_path / "origin"
    copied(origin)
    git = ["git", "-C", str(origin), "-c", "user.name=me", "-c", "user.email=me@here"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    book = committed(2)
    source = book.cells[1].source.replace("    %pip install --quiet ./linenet\n", "")
    book.cells[1].source = source.replace(notebooks.repository(), f"file://{origin} linenet")
    alone = tmp_path / "alone"
    alone.mkdir()
    executed(book, alone, monkeypatch)
    assert (alone / "linenet/lightning_logs/lessons/2_record.png").is_file()
