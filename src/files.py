"""Files that are whole or absent."""

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write text beside `path` and rename it into place, so that no half-written file is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
