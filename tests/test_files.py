"""A file is written completely or not at all."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.files import lock, remove_leftovers, write_whole


def test_a_write_creates_the_folder_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "new/results.json", "1")
    write_whole(tmp_path / "new/results.json", "é")
    assert (tmp_path / "new/results.json").read_text(encoding="utf-8") == "é"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    write_whole(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("src.files.os.fsync", full)
    with pytest.raises(UserError, match=r"results.json cannot be written: No space .* \(3 bytes"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_temporary_files_of_killed_writers_are_removed(tmp_path: Path) -> None:
    write_whole(tmp_path / "checkpoints/one.ckpt", b"1")
    for name in ("config.yaml.123.part", "checkpoints/one.ckpt.77.part"):
        (tmp_path / name).write_text("half")
    remove_leftovers(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / "checkpoints/one.ckpt"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that takes no files")
def test_a_lock_that_cannot_be_made_is_not_waited_for() -> None:
    with pytest.raises(OSError, match=r"/proc/lock"), lock(Path("/proc/lock")):
        raise AssertionError("not reached")
