"""The code of one run, from its command to its checkpoint, has under 500 lines."""

import ast
import re

from tests.conftest import PROJECT

README = (PROJECT / "src/README.md").read_text()
ROWS = re.findall(r"^\| `([\w/]+\.py)` \| (`.*?`) \| [^|`]*", README, re.MULTILINE)


def lines(file: str, definition: str) -> int:
    """Return the number of lines of a function, class or method, decorators included."""
    body: list[ast.stmt] = ast.parse((PROJECT / "src" / file).read_text()).body
    for name in definition.split("."):
        [node] = [one for one in body if getattr(one, "name", None) == name]
        assert isinstance(node, ast.FunctionDef | ast.ClassDef)
        body = node.body
    return (node.end_lineno or 0) - node.lineno + 1 + len(node.decorator_list)


def test_the_code_of_one_run_has_under_500_lines() -> None:
    assert len({file for file, _ in ROWS}) == 16
    count = sum(lines(file, name) for file, names in ROWS for name in re.findall(r"[\w.]+", names))
    assert re.findall(r"<!-- lines -->(\d+) lines", README) == [str(count)]
    assert count < 500
