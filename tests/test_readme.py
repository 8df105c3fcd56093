"""Every command in the README files runs, and the front page stays short."""

import importlib
import os
import re
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from glob import glob
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from src.cli import main
from tests.conftest import PROJECT, doubts_allowed, toy_images

PAGES = [PROJECT / folder / "README.md" for folder in ("", "configs", "scripts", "src", "tests")]
README = "\n".join(page.read_text() for page in PAGES)
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
LINES = [line.strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
COMMANDS = sorted(
    {line for line in LINES if re.search(r"src\.cli|scripts/run (fit|predict)", line)}
)
TOOLS = sorted(
    line
    for line in LINES
    if re.match(r"./scripts/run (compare|lr_find|export|peek|draw|schema|repeat)", line)
)
PRINT_ONLY = {"--model.help", "--print_config", "--resume"}  # --resume: the run is finished
Run = Callable[..., dict[str, Any]]


def module_of(tool: str) -> str:
    """Return the module that ./scripts/run starts for a tool."""
    is_file = (PROJECT / f"scripts/{tool}.py").is_file()
    return f"scripts.{tool}" if is_file else f"scripts.{tool}.__main__"


def arguments(command: str) -> list[str]:
    """Return the arguments of a command, with variables replaced and config paths made absolute."""
    words = shlex.split(command, comments=True)
    start = words.index("src.cli" if "src.cli" in words else "./scripts/run") + 1
    text = [word.replace("$RUN", "lightning_logs/mnist_mlp/version_0") for word in words[start:]]
    text = [found for word in text for found in (glob(word) if "*" in word else [word])]  # noqa: PTH207
    return [str(PROJECT / word) if word.startswith("configs/") else word for word in text]


def quick(words: list[str], root: Path) -> list[str]:
    """Return the arguments for a quick run: few steps, the small data, one CPU."""
    if "--images" in words:
        place = words.index("--images") + 1
        Image.fromarray(255 - toy_images(1, seed=3)[0][0]).resize((90, 90)).save("three.png")
        return [*words[:place], "three.png"]
    if words[0] != "fit" or PRINT_ONLY & set(words):
        return words
    words = [str(root / "images") if word == "FOLDER" else word for word in words]
    small = [] if any("folder" in word for word in words) else ["--data.val_size=50"]
    if "--data.path" in words:
        small = ["--data.val_size=10"]
    cpu = ["--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.num_nodes=1"]
    return [*words, *small, *cpu, "--trainer.strategy=auto", "--trainer.fast_dev_run=true"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_runs(command: str, run: Run, data_root: Path) -> None:
    small = ["--data.val_size=50", "--trainer.max_epochs=1"]
    if "$RUN" in command or "--resume" in command:
        run("fit", "--config", str(PROJECT / "configs/mnist_mlp.yaml"), *small)
    if "--images" in command:
        run("fit", "--config", str(PROJECT / "configs/mnist_lenet.yaml"), *small)
    words = quick(arguments(command), data_root)
    if "--resume" in words and "--config" in words:
        words += small
    if PRINT_ONLY & set(words):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
    else:
        with doubts_allowed() if "--images" in words else nullcontext():
            main(words)
    assert "--images" not in words or list(Path().rglob("predictions.csv"))


def test_every_other_command_is_known() -> None:
    others = {line.split("#")[0].strip() for line in LINES} - {
        c.split("#")[0].strip() for c in COMMANDS
    }
    assert others == {
        "RUN=lightning_logs/mnist_mlp/version_0",
        ".venv/bin/tensorboard --logdir lightning_logs",
        *(line.split("#")[0].strip() for line in LINES if line.startswith("./scripts/setup")),
        "./scripts/test",
        "./scripts/test -m slow",
        "./scripts/run lesson",
        "./scripts/run lesson 3",  # in tests/scripts/lessons
        "./scripts/run notebooks all",  # in tests/scripts/test_notebooks.py
        'eval "$(./scripts/run completion bash)"',  # in tests/scripts/test_completion.py
        # In test_seeds.py, test_folds.py, test_stress.py and sweep/.
        *(
            line.split("#")[0].strip()
            for line in LINES
            if re.search("run (seeds|folds|sweep|stress)", line)
        ),
        *(line.split("#")[0].strip() for line in LINES if line.startswith("sbatch ")),
        "./scripts/run bench",
        "./scripts/run bench epochs --model mnist_lenet",
        *(line.split("#")[0].strip() for line in TOOLS),
    }


@pytest.mark.parametrize("command", TOOLS)
def test_the_tool_runs(command: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = {"mnist_mlp", *re.findall(r"lightning_logs/(\w+)/version_0", command)}
    for config in trained:
        run("fit", "--config", str(PROJECT / f"configs/{config}.yaml"), "--data.val_size=50",
            "--trainer.max_epochs=1")  # fmt: skip
    name, *words = shlex.split(command, comments=True)[1:]
    if name != "schema":  # it writes its file
        words = [str(PROJECT / word) if word.startswith("configs/") else word for word in words]
    small = ["--data.val_size=50", "--steps=60"] if name == "lr_find" else []
    tool = importlib.import_module(module_of(name))
    if name == "draw":  # tested with a browser in test_draw_browser.py
        monkeypatch.setattr(tool, "draw", lambda options: tool.open_run(options.other, "draw"))
    assert not tool.main([*words, *small])


def test_the_python_example_runs_the_exported_file(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("fit", "--config", str(PROJECT / "configs/mnist_lenet.yaml"), "--data.val_size=50",
        "--trainer.max_epochs=1")  # fmt: skip
    importlib.import_module("scripts.export.__main__").main(
        ["lightning_logs/mnist_lenet/version_0"]
    )
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert set(re.findall(r"^import (\w+)", example, re.MULTILINE)) == {
        "json", "numpy", "onnxruntime"
    }  # fmt: skip
    capsys.readouterr()
    exec(compile(example, "README.md", "exec"), {})
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("src.models.lenet.LeNet mnist_lenet/version_0 0.")
    assert [len(re.findall(r"\d: [\d.]+%", row)) for row in rows] == [3, 3]


def test_every_named_file_and_config_exists() -> None:
    named = set(re.findall(r"(?<!/)\b(?:src|scripts|configs|tests)/[\w/]+\.(?:py|yaml)", README))
    missing = {name for name in named if not (PROJECT / name).exists()}
    missing -= {"configs/local.yaml"}  # of a person's machine
    assert missing == {"src/models/mine.py", "configs/mnist_mine.yaml", "src/data/mine.py"}
    assert os.access(PROJECT / "scripts/run", os.X_OK)


def test_the_front_page_is_short_and_every_link_works() -> None:
    assert len(PAGES[0].read_text().splitlines()) <= 150
    for page in PAGES:
        for target in re.findall(r"\]\((?!https:)([^)#:]+)[^)]*\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
