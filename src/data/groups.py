"""The group of each training image, such as its writer: from a table, a folder or a file name."""

import csv
import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from src.data.checks import is_file, shown
from src.errors import UserError

FOLDER = "folder"  # the folder that an image is in, within the folder of its class
EXAMPLE = "'(writer[0-9]+)_'"
Files = Sequence[Sequence[str]]  # of each image: split, class, perhaps a folder, name


def groups_of(source: str, n: int, files: Files | None) -> list[str]:
    """Return the group of each training image.

    Args:
        source: `folder`, a CSV file, or a pattern of file names with the group in parentheses.
        n: The number of training images.
        files: Their files; None if they have no files of their own.

    Raises:
        UserError: If the groups are not found, or not for all images.
    """
    if source.lower().endswith(".csv"):
        return _of_table(Path(source).expanduser(), n, files)
    if files is None:
        raise _refused(source, "these images have no files with names", "Give FILE.csv.")
    return _of_folders(files) if source == FOLDER else _of_names(source, files)


def _of_folders(files: Files) -> list[str]:
    for split, label, *rest in files:
        if len(rest) < 2:
            path = shown("/".join((split, label, *rest)))
            wanted = f"Move it into {shown(split)}/{shown(label)}/GROUP/."
            raise _refused(FOLDER, f"{path} is in no folder of a group", wanted)
    return [parts[2] for parts in files]


def _of_names(source: str, files: Files) -> list[str]:
    try:
        pattern = re.compile(source)
    except re.error as error:
        raise _refused(source, f"the pattern is wrong, {error}", f"Example: {EXAMPLE}.") from error
    if pattern.groups != 1:
        wanted = f"Give folder, FILE.csv, or a pattern with the group in parentheses: {EXAMPLE}."
        raise _refused(source, "neither a table nor a pattern with one pair of ( )", wanted)
    groups = []
    for parts in files:
        name = "/".join(parts[2:])
        match = pattern.search(name)
        if not match or match[1] is None:
            raise _refused(source, f"{shown(name)} does not match", f"Example: {EXAMPLE}.")
        groups.append(match[1])
    return groups


def _of_table(path: Path, n: int, files: Files | None) -> list[str]:
    """Return the column `group` of a table with a row for each image, by name or in their order."""
    rows = _rows(path, "group" if files is None else "file")
    if files is None and len(rows) != n:
        wanted = "Give a row for each training image, in their order."
        raise _refused(path, f"{len(rows):,} rows for {n:,} training images", wanted)
    places = {str(i): [i] for i in range(n)} if files is None else _places(files)
    found: dict[int, str] = {}
    for number, row in enumerate(rows):
        name = str(number) if files is None else _plain(row["file"] or "")
        if not row["group"]:
            raise _refused(path, f"line {number + 2} has no group", "Add it.")
        at = places.get(name, [])  # rows of other images are allowed
        if len(at) > 1 or any(found.get(i, row["group"]) != row["group"] for i in at):
            why = "names several images" if len(at) > 1 else "has two groups"
            raise _refused(path, f"{shown(name)} {why}", "Give split/class/name, once.")
        found |= dict.fromkeys(at, row["group"])
    for i, parts in enumerate(files or ()):
        if i not in found:
            missing = f"{n - len(found):,} images have no row, e.g. {shown('/'.join(parts))}"
            raise _refused(path, missing, "Add rows, or check the names in the column file.")
    return [found[i] for i in range(n)]


def _rows(path: Path, column: str) -> list[dict[str, str]]:
    if not is_file(path):
        raise _refused(path, "it does not exist", "Give an existing file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # Excel writes a mark first
            reader = csv.DictReader(file)
            rows, columns = [*reader], reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _refused(path, f"it cannot be read, {error}", "Save it as CSV in UTF-8.") from error
    for name in (column, "group"):
        if name not in columns:
            found = f"there is no column {name}, only {shown(', '.join(columns))}"
            raise _refused(path, found, "Its first line names the columns, with commas between.")
    return rows


def _places(files: Files) -> dict[str, list[int]]:
    """Return the images by path, and by each end of it: `c/a.png` is `train/c/a.png`."""
    places: dict[str, list[int]] = {}
    for i, parts in enumerate(files):
        for end in accumulate(reversed(parts), lambda end, part: f"{part}/{end}"):
            places.setdefault(end, []).append(i)
    return places


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/").removeprefix("./"))


def _refused(source: str | Path, found: str, wanted: str) -> UserError:
    return UserError(f"--data.groups {shown(source)}: {found}.\n{wanted}")
