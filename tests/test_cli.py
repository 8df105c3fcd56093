"""The entry of the command line: help, versions and mistyped commands, without torch."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from src import cli
from src.arguments import completed
from tests.conftest import PROJECT

CONFIGS = PROJECT / "configs"
MLP = ["--config", "mlp.yaml"]


def entry(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the entry where importing torch or Lightning fails."""
    code = "import sys; sys.modules.update(torch=None, lightning=None); import src.cli as c; "
    command = [sys.executable, "-c", code + f"c.main({list(words)})"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_no_arguments_print_the_help_and_exit_with_2_without_torch() -> None:
    done, with_flag = entry(), entry("--help")
    assert (done.returncode, with_flag.returncode) == (2, 0)
    assert done.stdout == with_flag.stdout
    for name in ("fit", "validate", "test", "predict", "compare", "lesson", "faults", "bench"):
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f"  {name} ")]
        assert len(line.split()) > 3
    assert len(done.stdout.splitlines()) < 34


def test_each_tool_is_listed_with_one_line_of_its_docstring() -> None:
    for name, text in cli.tools().items():
        assert 10 < len(text) < 86, name
        assert text.endswith((".", ":"))


def test_the_version_names_commit_torch_and_lightning() -> None:
    first, *others = entry("--version").stdout.splitlines()
    assert first.startswith(f"linenet {version('linenet')} (")
    assert others == [f"{name} {version(name)}" for name in ("torch", "lightning")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "Did you mean fit?"),
        (["trian", "--config", "x.yaml"], "Did you mean python -m src.cli fit --config x.yaml?"),
        (["fit"], "Did you mean python -m src.cli fit --config configs/mnist_mlp.yaml?"),
        (["fit", f"{CONFIGS}/line.yaml"], f"python -m src.cli fit --config {CONFIGS}/line.yaml?"),
        (
            ["fit", "--config", "mnist_lenet", "with/fast"],
            "lenet.yaml --config configs/with/fast.yaml?",
        ),
        (["fit", "--config=mlp.yaml", "debug.yaml"], "--config=mlp.yaml --config debug.yaml?"),
        (["fit", *MLP, "--lr", "0.1"], "fit --config mlp.yaml --model.optimizer.lr 0.1?"),
        (["fit", *MLP, "--batch_size=9"], "fit --config mlp.yaml --data.batch_size=9?"),
        (["fit", *MLP, "--epochs", "9"], "fit --config mlp.yaml --trainer.max_epochs 9?"),
        (["fit", "--seed", "1"], "fit --config configs/mnist_mlp.yaml --seed_everything 1?"),
        (["fit", "-c", f"{CONFIGS}/with/fast.yaml"], "fit --config configs/mnist_mlp.yaml -c "),
        (["tset"], "Did you mean test?"),
        (["compare", "x"], "compare is a tool.\nStart it with ./scripts/run compare"),
        (["--config", "x.yaml"], "Did you mean python -m src.cli fit --config x.yaml?"),
        (["--data.root", "a b", "test"], "Did you mean python -m src.cli test --data.root 'a b'?"),
        (["--config"], "the command comes first, before --config"),
        (
            ["setup", "wandb"],
            "setup is for a clone of the project.\nStart it there with scripts/setup",
        ),
        (["", "x"], "the command is empty.\nExpected fit,"),
        (["--versoin"], "Did you mean --version?"),
        (["test"], "test needs a run: give --run lightning_logs/NAME/version_N, or latest."),
        (["predict", "--images", "x"], "predict needs a run"),
        (["fit", "--run", "latest"], "Did you mean python -m src.cli fit --resume latest?"),
        (["predict", "--run", "latest", str(PROJECT)], f"predict --run latest --images {PROJECT}?"),
    ],
)
def test_a_wrong_command_gets_a_suggestion_without_importing_torch(
    words: list[str], message: str
) -> None:
    done = entry(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["--model.optimizer.lr", "-1e-3"], ["--model.optimizer.lr=-1e-3"]),
        (["--a", "-.5", "--b", "-1.", "--c", "-inf"], ["--a=-.5", "--b=-1.", "--c=-inf"]),
        (["--a=1", "-1", "--list", "[-1, 2]"], ["--a=1", "-1", "--list", "[-1, 2]"]),
        (["--a", "-c", "mine.yaml"], ["--a", "-c", "mine.yaml"]),
    ],
)
def test_negative_numbers_in_every_notation_are_values(given: list[str], taken: list[str]) -> None:
    assert completed(given) == taken


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["--tag", "a", "--tag", "b c"], ["--tag+=a", "--tag+=b c"]),
        (["--tag=a", "--note", "tag"], ["--tag+=a", "--note", "tag"]),
        (["--tag", "[a, b]", "--tag=[c]"], ["--tag", "[a, b]", "--tag=[c]"]),
        (["--tag", "--note", "x"], ["--tag", "--note", "x"]),  # refused by the parser
    ],
)
def test_tags_are_added_to_one_another(given: list[str], taken: list[str]) -> None:
    assert completed(given) == taken


@pytest.mark.parametrize("words", [["--config", "line"], ["-c", "line.yaml"], ["--config=line"]])
def test_a_config_may_be_given_by_its_name(words: list[str]) -> None:
    assert Path(completed(words)[-1].rpartition("=")[2]).resolve() == CONFIGS / "line.yaml"
    assert completed(["-c", "with/fast"])[1].endswith("configs/with/fast.yaml")
    Path("line").write_text("mine")
    Path("line.yaml").write_text("mine")
    assert completed(words) == words  # a file of the user comes first
    assert completed(["-c", "none"]) == ["-c", "none"]


@pytest.mark.parametrize("after", [["--help", "--version", "fit"], ["--", "x"], ["--resume"]])
def test_arguments_after_the_command_are_kept(after: list[str]) -> None:
    assert cli.parse(["fit", *after]) == ("fit", after)
