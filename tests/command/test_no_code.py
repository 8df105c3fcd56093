"""No source file calls a function that can run code from a file or a string."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN = MODULES | {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "torch.hub", "shell=True", "allow_pickle=True",
    "weights_only=False", "weights_only=None",
    "import torch.load",  # the search would miss its calls
}  # fmt: skip
FILES = sorted(path for folder in ("src", "scripts") for path in (PROJECT / folder).rglob("*.py"))


def names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node of the syntax tree imports, uses or passes as a keyword."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        dotted = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (*dotted, *(f"import {name}" for name in dotted))
    elif isinstance(node, ast.Name | ast.Attribute | ast.keyword):
        yield ast.unparse(node)


def dangers(source: str) -> list[str]:
    """Return the names and calls in a source text that could run other code."""
    nodes = list(ast.walk(ast.parse(source)))
    found = [name for node in nodes for name in names(node)]
    calls = [ast.unparse(node) for node in nodes if isinstance(node, ast.Call)]
    loads = [call for call in calls if call.startswith("torch.load(")]
    return [
        *(name for name in found if name in FORBIDDEN or name.split(".")[0] in MODULES),
        *(load for load in loads if "weights_only=True" not in load),
    ]


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import load", "import pickle as p", "from os import system",
     "eval(x)", "exec(x)", "os.system(x)", "run(x, shell=True)", "yaml.load(x)", "torch.load(x)",
     "torch.load(x, weights_only=False)", "torch.load(x, weights_only=None)", "torch.hub.load(x)",
     "from torch import hub", "from torch import load", "from yaml import unsafe_load",
     "np.load(x, allow_pickle=True)", "import joblib", "from dill import loads", "import shelve",
     "import marshal", "builtins = __import__(x)"],
)  # fmt: skip
def test_dangerous_code_is_found(source: str) -> None:
    assert dangers(source)


@pytest.mark.parametrize(
    "source",
    ["torch.load(x, weights_only=True)", "re.compile(x)", "model.eval()", "yaml.safe_load(x)",
     "json.load(x)", "np.load(x)", "run(x)", "from os import replace"],
)  # fmt: skip
def test_other_code_is_not_reported(source: str) -> None:
    assert not dangers(source)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_a_file_has_no_dangerous_code(file: Path) -> None:
    assert not dangers(file.read_text())
