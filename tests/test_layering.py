"""Imports in src go from higher to lower layers only, and there are no import cycles."""

import ast
from pathlib import Path

import pytest

from tests.conftest import PROJECT

SRC = PROJECT / "src"
LAYERS = [  # lowest first; packages of one layer do not import one another
    ["errors", "places"],
    ["arguments"],
    ["torchvision_compat"],
    ["libraries"],
    ["files", "imports", "local_file", "progress_bar", "ranges"],
    ["data", "plots"],
    ["runs", "training", "inference"],
    ["models"],
    ["callbacks"],
    ["command"],
    ["cli"],
]
LAYER = {name: number for number, layer in enumerate(LAYERS) for name in layer}
FORBIDDEN = {("models", "data")}  # though models are in a higher layer


def modules(file: Path) -> set[str]:
    """Return the dotted names of this project that a file imports, at its top or in functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: a relative import; name the package"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return {name for name in found if name.split(".")[0] in ("src", "scripts")}


def package_of(path: Path) -> str:
    """Return the package or top-level module of src that a file belongs to."""
    return path.relative_to(SRC).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted(SRC.rglob("*.py")), ids=lambda f: str(f.relative_to(SRC)))
def test_a_file_imports_only_lower_layers(file: Path) -> None:
    here = package_of(file)
    for name in modules(file):
        assert name.startswith("src."), f"{file} imports {name}"
        there = name.split(".")[1]
        assert there == here or LAYER[there] < LAYER[here], f"{file} imports {name}"
        assert (here, there) not in FORBIDDEN


@pytest.mark.parametrize("root", ["src", "scripts"])
def test_there_are_no_import_cycles(root: str) -> None:
    files = {
        ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (PROJECT / root).rglob("*.py")
    }
    imports = {
        name: {
            other
            for target in modules(path)
            for other in (target, target.rpartition(".")[0])
            if other in files and other != name
        }
        for name, path in files.items()
    }
    while leaves := {name for name, targets in imports.items() if not targets & imports.keys()}:
        imports = {name: targets for name, targets in imports.items() if name not in leaves}
    assert not imports, f"these import one another: {sorted(imports)}"


@pytest.mark.parametrize("package", sorted(path.parent for path in SRC.glob("*/__init__.py")))
def test_each_package_docstring_says_what_it_contains(package: Path) -> None:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    assert "import" in text, "it must say who may import it"
    assert 1 <= text.count(". ") + text.count(".\n") <= 4


@pytest.mark.parametrize("file", sorted(SRC.glob("plots/*.py")), ids=lambda f: f.name)
def test_plots_do_not_import_lightning(file: Path) -> None:
    assert "import lightning" not in file.read_text()
    assert "from lightning" not in file.read_text()
