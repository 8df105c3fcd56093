"""Who may import whom: scripts, tests -> cli -> models | data | callbacks -> pure modules."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"
PURE = {
    "checkpoints",
    "config_files",
    "contradictions",
    "curves",
    "errors",
    "files",
    "guard",
    "imports",
    "loop",
    "monitors",
    "occlusion",
    "optim",
    "plots",
    "portable",
    "provenance",
    "summary",
    "quiet",
    "ranges",
    "report",
    "runs",
    "settings",
    "signals",
}
ALLOWED = {
    "contradictions": {"errors", "monitors"},
    "models": {"models", "optim", "ranges", "errors"},
    "data": {"data", "ranges", "errors"},
    "callbacks": {
        "callbacks",
        "checkpoints",
        "curves",
        "errors",
        "files",
        "plots",
        "provenance",
        "settings",
        "signals",
    },
    "checkpoints": {"errors", "files"},
    "curves": {"files"},
    "report": {"files", "summary"},
    "plots": {"plots"},
    "messages": {"models", "data", "config_files", "imports", "ranges", "errors"},
    "flags": {"callbacks", "data", "errors", "messages", "models", "ranges"},
    "cli": {
        "callbacks",
        "checkpoints",
        "config_files",
        "contradictions",
        "curves",
        "data",
        "errors",
        "files",
        "flags",
        "imports",
        "loop",
        "messages",
        "models",
        "quiet",
        "report",
        "runs",
        "settings",
        "signals",
        "summary",
    },
}
ALLOWED = {name: {"errors", "imports"} for name in PURE} | ALLOWED


def imported(file: Path) -> set[str]:
    """Return the modules and packages directly under src that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "src":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("src."):
            names.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("src.")}
    return names


@pytest.mark.parametrize("file", sorted(SRC.rglob("*.py")), ids=lambda f: str(f.relative_to(SRC)))
def test_imports_run_one_way(file: Path) -> None:
    place = file.relative_to(SRC).parts[0].removesuffix(".py")
    assert imported(file) <= ALLOWED.get(place, set())


@pytest.mark.parametrize("file", sorted(SRC.glob("plots/*.py")), ids=lambda f: f.name)
def test_plots_know_no_lightning(file: Path) -> None:
    assert "import lightning" not in file.read_text()
    assert "from lightning" not in file.read_text()
