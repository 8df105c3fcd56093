"""Finds the images of `train/<class>/*` and so on, in a folder or in a zip file of any origin."""

import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

from src.data.checks import is_file, shown
from src.errors import UserError

Files = dict[str, dict[str, list[str]]]  # split -> class -> paths; classes and paths sorted
SPLITS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
JUNK = ("thumbs.db", "desktop.ini", "__macosx")  # written by file managers, in any case
UTF_8, ENCRYPTED = 0x800, 0x1  # flags of a zip entry


def list_images(path: Path, known: list[str] | None = None, nested: bool = False) -> Files:
    """Return the image files of each split by class, sorted by class name; `val` may be missing.

    Names are those that the folder or zip file knows them by.

    Args:
        path: The folder or zip file.
        known: The classes that a network was trained on; then only `test` is needed, and some
            classes may be missing.
        nested: Whether class folders may hold folders of images, e.g. one for each writer.

    Raises:
        UserError: If the folder, a split or the images of a class are missing, or if there are
            class folders within class folders, one class only, or an encrypted zip file.
    """
    files: Files = {}
    for name, parts in sorted(_entries(path, nested).items(), key=lambda entry: entry[1]):
        split = SPLITS.get(parts[0].lower())
        if not split or len(parts) < 2:
            continue
        if len(parts) > 3 + nested:
            raise UserError(
                f"{shown(path / parts[0] / parts[1])} holds a folder, {shown(parts[2])}: class"
                " folders within class folders are not read.\nMove its images up, or give each"
                " folder of images its place in train/<class>/."
            )
        listed = files.setdefault(split, {}).setdefault(parts[1], [])
        if len(parts) > 2 and parts[-1]:
            listed.append(name)
    if known:
        _check_known(path, files, known)
    else:
        _check(path, files)
    classes = known or sorted(files["train"])
    splits = [split for split in ("train", "test", "val") if split in files]
    return {split: {label: files[split].get(label, []) for label in classes} for split in splits}


def parts_of(name: str) -> tuple[str, ...]:
    """Return split, class, perhaps a folder, and file name of an image that `list_images` lists."""
    parts = _parts(name)
    first = next(i for i, part in enumerate(parts) if part.lower() in SPLITS)
    return parts[first:]


def _entries(path: Path, nested: bool) -> dict[str, tuple[str, ...]]:
    """Return each name in the folder or archive, and its parts from the split on."""
    try:
        path.stat()  # raises if the path does not exist, which would look like an empty folder
        names = _of_zip(path) if path.is_file() else {n: n for n in _of_folder(path, nested)}
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        found = "does not exist" if missing else f"cannot be read ({error.strerror})"
        raise UserError(
            f"--data.path {shown(path)} {found}.\n"
            "Give a folder or a zip file with train/<class>/* and test/<class>/*."
        ) from error
    parts = {name: _parts(shape) for name, shape in names.items()}
    kept = {name: part for name, part in parts.items() if part and not any(map(_junk, part))}
    tops = {part[0] for part in kept.values()}
    if len(tops) == 1 and not SPLITS.keys() & {top.lower() for top in tops}:
        kept = {name: part[1:] for name, part in kept.items() if part[1:]}
    return kept


def _parts(name: str) -> tuple[str, ...]:
    """Return the parts of a name; a folder within a class gets an empty file name."""
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    return (*parts, "") if plain.endswith("/") and len(parts) > 2 else parts


def _junk(part: str) -> bool:
    return part.startswith(".") or part.lower() in JUNK


def _of_folder(path: Path, nested: bool) -> Iterator[str]:
    """Yield the names in a folder; a single folder on top of all is entered."""
    entries = [entry for entry in path.iterdir() if not _junk(entry.name)]
    if len(entries) == 1 and entries[0].name.lower() not in SPLITS and entries[0].is_dir():
        yield from (f"{entries[0].name}/{name}" for name in _of_splits(entries[0], nested))
    else:
        yield from _of_splits(path, nested)


def _of_splits(path: Path, nested: bool) -> Iterator[str]:
    for split in path.iterdir():
        for label in split.iterdir() if split.name.lower() in SPLITS and split.is_dir() else ():
            if _junk(label.name) or not label.is_dir():
                continue
            yield f"{split.name}/{label.name}"
            yield from _of_class(label, f"{split.name}/{label.name}", nested)


def _of_class(folder: Path, place: str, nested: bool) -> Iterator[str]:
    """Yield the names of files in a folder, and of folders with a slash, or what is in those."""
    for entry in folder.iterdir():
        if _junk(entry.name):
            continue
        if nested and entry.is_dir():
            yield from _of_class(entry, f"{place}/{entry.name}", nested=False)
        else:
            yield f"{place}/{entry.name}" + "/" * (entry.is_dir() or not is_file(entry))


def _of_zip(path: Path) -> dict[str, str]:
    """Return each name in an archive and its readable form; of equal ones, the last is kept."""
    try:
        entries = zipfile.ZipFile(path).infolist()
    except Exception as error:  # for damaged files, zipfile raises exceptions of any type
        raise UserError(
            f"{shown(path)} is neither a folder nor a readable zip file: {shown(error)}"
        ) from error
    if any(entry.flag_bits & ENCRYPTED for entry in entries):
        raise UserError(f"{shown(path)} is encrypted.\nUnpack it, and give --data.path the folder.")
    readable = {_parts(_decoded(entry)): entry.filename for entry in entries}
    if odd := [name for parts, name in readable.items() if ".." in parts or name.startswith("/")]:
        raise UserError(
            f"{shown(path)} holds {shown(odd[0])}, a path outside of it.\nPack it anew."
        )
    ends = {entry.filename: _decoded(entry) for entry in entries}
    return {name: ends[name] for name in readable.values()}


def _decoded(entry: zipfile.ZipInfo) -> str:
    """Return the name of a zip entry; without a flag it is in the code page of some system."""
    if entry.flag_bits & UTF_8 or entry.filename.isascii():
        return entry.filename
    raw = entry.filename.encode("cp437")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        cyrillic = raw.decode("cp866")
    letters = [char for char in cyrillic if not char.isascii()]
    is_text = all(unicodedata.name(char, "").startswith("CYRILLIC") for char in letters)
    return cyrillic if is_text else entry.filename


def _check(path: Path, files: Files) -> None:
    for split in ("train", "test"):
        if not files.get(split):
            raise UserError(f"{path} has no {split}/<class>/ folders; expected train and test.")
    for split in ("train", "test", "val"):
        for label, names in files.get(split, {}).items():
            _check_class(path, split, label, names)
    train = set(files["train"])
    if differing := ", ".join(sorted(train ^ set(files["test"]))):
        raise UserError(f"{path}: these classes are not in both train and test: {differing}.")
    if unknown := ", ".join(sorted(set(files.get("val", {})) - train)):
        raise UserError(f"{path}: these classes are in val, but not in train: {unknown}.")
    if len(train) == 1:
        raise UserError(
            f"{path} has one class only, {shown(*train)}: every answer would be right.\n"
            "Add a folder of images of something else to train and to test."
        )


def _check_known(path: Path, files: Files, known: list[str]) -> None:
    if not files.get("test"):
        raise UserError(f"{path} has no test/<class>/ folders; a trained network needs them.")
    if unknown := ", ".join(sorted({name for part in files.values() for name in part} - {*known})):
        raise UserError(
            f"{path} has classes that the network was not trained on: {shown(unknown)}.\n"
            f"It knows {shown(', '.join(known))}."
        )


def _check_class(path: Path, split: str, label: str, names: list[str]) -> None:
    if not label.isprintable():
        raise UserError(
            f"{path}/{split} has a class named {shown(label)}, which is not printable.\n"
            "Rename the folder: class names appear in tables and figures."
        )
    if not names and split != "val":
        raise UserError(f"{path}/{split}/{label} has no images.\nAdd some or remove the folder.")
