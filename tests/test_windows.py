"""Windows can import every module, and reads and writes files in UTF-8.

Windows itself is tried by .github/workflows/test.yml; here its missing names are taken away.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

FILES = [*(PROJECT / "src").rglob("*.py"), *(PROJECT / "scripts").rglob("*.py")]
OF_UNIX = ("bench", "faults", "lessons")  # measure with signals and forks; write no file to read
MODULES = ("fcntl", "grp", "pwd", "resource", "termios")
SIGNALS = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGALRM", "SIGQUIT", "SIGSTOP", "SIGCONT",
           "SIGCHLD", "SIGPIPE", "alarm", "setitimer", "pthread_kill")  # fmt: skip
OF_OS = ("fork", "getuid", "geteuid", "killpg", "setsid", "getpgid", "mkfifo", "sysconf", "nice",
         "sched_getaffinity", "uname", "getloadavg", "statvfs", "register_at_fork",
         "chown")  # fmt: skip
OTHER_OPEN = ("archive", "Image", "os", "tarfile", "zipfile")
MISSING = {*(f"signal.{name}" for name in SIGNALS), *(f"os.{name}" for name in OF_OS)}


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is executed when a module is imported: no bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            parts = [*child.decorator_list, *child.args.defaults, *child.args.kw_defaults]
            for part in filter(None, parts):
                yield part
                yield from at_import(part)
        elif not isinstance(child, ast.Lambda):
            yield child
            yield from at_import(child)


def of_unix(node: ast.AST) -> bool:
    """Return whether a statement or an expression needs a name that Windows does not have."""
    if isinstance(node, ast.Import):
        return bool({alias.name for alias in node.names} & {*MODULES})
    if isinstance(node, ast.ImportFrom):
        return node.module in MODULES
    return isinstance(node, ast.Attribute) and ast.unparse(node) in MISSING


def test_no_module_needs_a_name_of_unix_when_it_is_imported() -> None:
    for file in FILES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not [ast.unparse(node) for node in at_import(tree) if of_unix(node)], file
    default = "def stop(number=signal.SIGKILL):\n    os.fork()"
    assert [ast.unparse(one) for one in at_import(ast.parse(default)) if of_unix(one)] == [
        "signal.SIGKILL"
    ]


def without_encoding(tree: ast.AST) -> Iterator[str]:
    """Yield the calls that read or write text in the encoding of the system."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, words = node.func.attr, {word.arg for word in node.keywords}
            mode = "".join(str(arg.value) for arg in node.args if isinstance(arg, ast.Constant))
            opened = name == "open" and ast.unparse(node.func.value) not in OTHER_OPEN
            text = name in ("read_text", "write_text") or (opened and "b" not in mode)
            if text and "encoding" not in words:
                yield f"line {node.lineno}: {ast.unparse(node)}"


def test_text_files_are_in_utf_8() -> None:
    for file in FILES:
        if not {*OF_UNIX} & {*file.relative_to(PROJECT).parts}:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            assert not list(without_encoding(tree)), file


TAKE_AWAY = f"""
import importlib, os, signal, sys
import src.libraries, scripts.shared.trained, multiprocessing, scipy.stats, sklearn, rich.console
for module in {MODULES}: sys.modules[module] = None
for name in {SIGNALS}: delattr(signal, name) if hasattr(signal, name) else None
for name in {OF_OS}: delattr(os, name) if hasattr(os, name) else None
for name in [*sys.modules]:
    if name.partition(".")[0] in ("src", "scripts"): del sys.modules[name]
"""


@pytest.mark.slow
def test_every_module_is_imported_without_the_names_of_unix() -> None:
    files = [file for file in FILES if file.parent.name not in ("lessons", "packaging")]
    names = [".".join(file.relative_to(PROJECT).with_suffix("").parts) for file in files]
    names = [name.removesuffix(".__init__") for name in names if "preload" not in name]
    imports = f"import importlib\nfor name in {names}: importlib.import_module(name)\n"
    code = f"{imports}{TAKE_AWAY}{imports}print('all')"  # first also what others need of Unix
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert done.stdout.endswith("all\n"), done.stderr


@pytest.mark.slow
def test_a_run_and_several_are_made_without_the_names_of_unix(data_root: Path) -> None:
    small = ["--config", "mnist_logistic", "--data.root", str(data_root), "--data.verify", "false",
             "--data.val_size", "50", "--trainer.max_epochs", "1"]  # fmt: skip
    spawn = "import scripts.many.warm as warm; warm.FORKS = False; "
    fit = f"{TAKE_AWAY}from src.cli import main; main({['fit', *small]})"
    seeds = f"{TAKE_AWAY}{spawn}from scripts.seeds.__main__ import main; main({['2', *small]})"
    for code in (fit, seeds):
        guarded = "if __name__ == '__main__':\n" + "".join(
            f"    {line}\n" for line in code.splitlines()
        )
        Path("start.py").write_text(guarded)
        done = subprocess.run([sys.executable, "start.py"], capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(PROJECT)})  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "test/acc" in done.stdout
