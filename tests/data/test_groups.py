"""The groups of images are those of a table, of their folders or of their names."""

from pathlib import Path

import pytest

from src.data.groups import groups_of
from src.errors import UserError

FILES = [("train", "cat", "w1_a.png"), ("train", "cat", "w2_a.png"), ("val", "dog", "w1_a.png")]
NESTED = [("train", "cat", "w1", "a.png"), ("train", "cat", "w2", "a.png")]


def table(text: str) -> str:
    Path("groups.csv").write_text(text)
    return "groups.csv"


def test_a_pattern_finds_the_group_in_the_file_name() -> None:
    assert groups_of("(w[0-9])_", 3, FILES) == ["w1", "w2", "w1"]
    assert groups_of("^(.*)/", 2, NESTED) == ["w1", "w2"]


def test_folder_is_the_folder_within_the_class() -> None:
    assert groups_of("folder", 2, NESTED) == ["w1", "w2"]


def test_a_table_has_a_row_for_each_image_in_order() -> None:
    assert groups_of(table("group,age\nann,3\nbob,4\nann,3\n"), 3, None) == ["ann", "bob", "ann"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_names_files_by_their_path_or_an_end_of_it(mark: str) -> None:
    rows = ["file,group", "dog/w1_a.png,carl", "train\\cat\\w1_a.png,ann", "./w2_a.png,bob"]
    text = mark + "\n".join([*rows, "test/cat/w3_a.png,dora"])
    assert groups_of(table(text), 3, FILES) == ["ann", "bob", "carl"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("folder", "train/cat/w1_a.png is in no folder of a group"),
        ("[", "the pattern is wrong"),
        ("writers", "neither a table nor a pattern"),
        ("(a)(b)", "neither a table nor a pattern"),
        ("(w2)_", "w1_a.png does not match"),
        ("missing.csv", "it does not exist"),
    ],
)
def test_groups_that_are_not_found_are_refused(source: str, text: str) -> None:
    with pytest.raises(UserError, match=text) as refused:
        groups_of(source, 3, FILES)
    assert str(refused.value).startswith(f"--data.groups {source}: ")
    assert len(str(refused.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file;group\na;b\n", "there is no column file, only file;group"),
        ("file,writer\nw2_a.png,b\n", "there is no column group, only file, writer"),
        ("", "there is no column file"),
        ("file,group\nw1_a.png,ann\n", "w1_a.png names several images"),
        ("file,group\nw2_a.png,ann\ncat/w2_a.png,bob\n", "cat/w2_a.png has two groups"),
        ("file,group\nw2_a.png\n", "line 2 has no group"),
        ("file,group\nw2_a.png,\n", "line 2 has no group"),
        ("file,group\nw2_a.png,ann\n", "2 images have no row, e.g. train/cat/w1_a.png"),
    ],
)
def test_a_table_that_leaves_a_question_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        groups_of(table(text), 3, FILES)
    assert len(str(refused.value).splitlines()) <= 3


def test_a_table_of_another_length_and_one_that_is_no_text_are_refused() -> None:
    with pytest.raises(UserError, match="2 rows for 3 training images"):
        groups_of(table("group\na\nb\n"), 3, None)
    Path("groups.csv").write_bytes(b"group\n\xff\xfe\n")
    with pytest.raises(UserError, match="cannot be read"):
        groups_of("groups.csv", 3, None)
