"""Files are whole or absent."""

from pathlib import Path

import pytest

from src.files import write_whole


def test_the_folder_is_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_whole(tmp_path / "new/results.json", "1")
    write_whole(tmp_path / "new/results.json", "é")
    assert (tmp_path / "new/results.json").read_text(encoding="utf-8") == "é"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_whole(path, "old")

    def full(self: Path, text: str, encoding: str) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
