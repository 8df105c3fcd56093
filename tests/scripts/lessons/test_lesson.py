"""The tool that lists and runs the lessons."""

import ast
import re

import pytest

import scripts.lesson as lesson
from tests.conftest import PROJECT


def test_it_lists_six_lessons(capsys: pytest.CaptureFixture[str]) -> None:
    lesson.main([])
    listed = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in listed] == [f"Lesson {i}." for i in range(1, 7)]


def test_it_runs_one_lesson(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(lesson.runpy, "run_path", lambda path, run_name: started.append(path))
    lesson.main(["4"])
    assert started[0].endswith("scripts/lessons/4_backpropagation.py")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Text and exercises of this lesson: ")
    assert last.endswith("scripts/lessons/4_backpropagation.py")


def test_an_unknown_lesson_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        lesson.main(["7"])
    assert stop.value.code == 2
    assert "choose from 1, 2, 3, 4, 5, 6" in capsys.readouterr().err


@pytest.mark.parametrize("number", range(1, 7))
def test_a_lesson_is_short_and_so_is_each_of_its_parts(number: int) -> None:
    text = lesson.lessons()[number].read_text()
    assert len(text.splitlines()) <= 265
    parts = re.split(r"^# ##? ", text, flags=re.MULTILINE)
    assert len(parts) > 5
    for part in parts:
        prose = re.findall(r"^# (?!%%)", part, re.MULTILINE)
        assert len(prose) <= 40, f"more than two screens: {part.splitlines()[0]}"


@pytest.mark.parametrize("number", range(1, 7))
def test_each_lesson_has_exercises_and_is_in_the_readme(number: int) -> None:
    path = lesson.lessons()[number]
    text = path.read_text()
    title = re.match(r"Lesson \d\. ([^:]+):", str(ast.get_docstring(ast.parse(text))))
    assert title
    assert "xercise" in text
    assert f"| {number} {title[1].lower()} |" in (PROJECT / "scripts/README.md").read_text().lower()
