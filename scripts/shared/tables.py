"""Tables of measured figures, as Markdown between two marks of a README file."""

import os
from pathlib import Path
from typing import Any

from src.local_file import use_data_folder
from src.places import PROJECT

Rows = list[dict[str, Any]]


def into_page(page: str, name: str, text: str) -> None:
    """Replace the text between the marks `name: begin` and `name: end` of a README file."""
    path = PROJECT / page
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    path.write_text(before + begin + text + end + rest.split(end)[1], encoding="utf-8")


def markdown(rows: Rows) -> str:
    """Return the rows as a table; columns are the names of all their values."""
    names = list(dict.fromkeys(name for one in rows for name in one))
    lines = [[*names], ["---"] * len(names)]
    lines += [[shown(name, one.get(name, "")) for name in names] for one in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def shown(name: str, value: Any) -> str:
    if name in ("test", "sd") and value:
        return f"{100 * value:.2f} %"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def circumstances(record: dict[str, Any]) -> str:
    """Return device, versions and commit of a measurement; `results.json` of a run has them too."""
    versions, commit = record["versions"], (record["git"] or {}).get("commit", "no commit")[:9]
    used = f"torch {versions['torch']}, lightning {versions['lightning']}"
    return f"{record['device']}; {used}; {commit}"


def mnist_files() -> Path:
    use_data_folder()
    return Path(os.environ.get("DATA_DIR") or "data", "MNIST", "raw").absolute()
