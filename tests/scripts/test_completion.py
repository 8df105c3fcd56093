"""The printed script completes commands, flags, classes and files in a real shell."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.completion import main
from tests.conftest import PROJECT

TAB = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}; _shtab_run; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
COMPLETED = {  # the words, of which the last is incomplete, and some of what it may become
    "va": {"validate"},
    "com": {"compare", "completion"},
    "fit --trainer.max_": {"--trainer.max_epochs", "--trainer.max_steps", "--trainer.max_time"},
    "fit --model.optimizer.mom": {"--model.optimizer.momentum"},
    "fit --model.scheduler.T_m": {"--model.scheduler.T_max", "--model.scheduler.T_mult"},
    "fit --data.augment.rot": {"--data.augment.rotation"},
    "fit --resu": {"--resume"},
    "test --ru": {"--run"},
    "fit --model ReL": {"ReLUMLP"},
    "fit --model.loss m": {"mse"},
    "fit --report f": {"false"},
    "fit --config configs/mnist_le": {"configs/mnist_lenet.yaml"},
    "fit --config mnist_le": {"mnist_lenet"},
    "fit --config with/fa": {"with/fast"},
    "predict --images READ": {"README.md"},
    "peek READ": {"README.md"},
    "seeds 3 --config mnist_le": {"mnist_lenet"},
    "lr_find --config with/fa": {"with/fast"},
    "sweep --config configs/mnist_le": {"configs/mnist_lenet.yaml"},
}


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", printed.append)
        main(["bash"])
    path = tmp_path_factory.mktemp("completion") / "run.bash"
    path.write_text(printed[0])
    return path


@pytest.mark.parametrize("words", COMPLETED)
def test_bash_completes_words(words: str, script: Path) -> None:
    tab = TAB.format(script=script, words=f"./scripts/run {words}")
    done = subprocess.run(["bash", "-c", tab], cwd=PROJECT, capture_output=True, text=True)
    assert done.stderr == ""
    assert set(done.stdout.split()) >= COMPLETED[words]
    assert all(word.startswith(words.split()[-1]) for word in done.stdout.split())


@pytest.mark.parametrize("program", ["run", "linenet"])
def test_the_script_is_registered_for_the_names_of_the_program(program: str, script: Path) -> None:
    command = f"source {script}; complete -p {program}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "_shtab_run" in done.stdout


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_a_zsh_without_settings_registers_the_script(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main(["zsh"])
    (tmp_path / "run.zsh").write_text(capsys.readouterr().out)
    command = 'eval "$(cat run.zsh)" && print -r -- $_comps[run] $_comps[linenet]'
    done = subprocess.run(
        ["zsh", "-f", "-c", command], cwd=tmp_path, env={"HOME": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("_shtab_run _shtab_run", "")
