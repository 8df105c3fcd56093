"""The words of a command before they are parsed: short forms made whole, common slips explained.

It is pure and imports no library, so that an answer comes at once.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from src.places import CONFIGS, INSTALLED, shown

NEGATIVE = re.compile(r"-(\.?\d|inf|nan)")  # argparse takes -1e-3 for a flag (cpython#105712)
TAG = re.compile(r"--tag=(?!\[)")  # of one tag; a list is left as it is
FILE_LOGGER = re.compile(r"--trainer\.logger\+?[= ]([\w.]+\.)?(CSV|TensorBoard)Logger")
OTHER_FLAGS = {  # names that others use, and ours
    "lr": "model.optimizer.lr", "learning_rate": "model.optimizer.lr",
    "optimizer": "model.optimizer",
    "momentum": "model.optimizer.momentum", "weight_decay": "model.optimizer.weight_decay",
    "batch_size": "data.batch_size",
    "epochs": "trainer.max_epochs", "max_epochs": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs", "max_steps": "trainer.max_steps",
    "seed": "seed_everything", "hidden": "model.hidden", "dropout": "model.dropout",
    "dataset": "data", "device": "trainer.accelerator", "gpus": "trainer.devices",
    "devices": "trainer.devices", "precision": "trainer.precision",
    "ckpt": "ckpt_path", "tags": "tag", "notes": "note",
}  # fmt: skip
LINKED = {  # flags whose values come from elsewhere
    "data.seed": "--seed_everything is the seed of the data, too",
    "model.input_shape": "it is that of the data",
    "model.num_outputs": "it is that of the data",
    "checkpoint.mode": "it follows from the metric, checkpoint.monitor",
}
CONFIG_FLAGS = ("-c", "--config")
CHOOSING = ("-c", "--config", "--model", "--resume", "--run")
EXAMPLE = ["--config", "configs/mnist_mlp.yaml"]


def completed(words: list[str]) -> list[str]:
    """Return words with negative numbers joined to their flags, and configs by name as files.

    A further logger of files gets the folder of all runs: it requires one. A tag is added to those
    before it.
    """
    found: list[str] = []
    for word in words:
        before = found[-1] if found else ""
        if NEGATIVE.match(word) and before.startswith("--") and "=" not in before:
            found[-1] = f"{before}={word}"
        elif before == "--tag" and not word.startswith(("-", "[")):
            found[-1] = f"--tag+={word}"
        elif before in CONFIG_FLAGS:
            found.append(config_file(word))
        elif word.startswith("--config="):
            found.append(f"--config={config_file(word.removeprefix('--config='))}")
        elif word.startswith("--tag="):
            found.append(TAG.sub("--tag+=", word))
        else:
            found.append(word)
        if FILE_LOGGER.fullmatch(word) or FILE_LOGGER.fullmatch(f"{before} {word}"):
            found.append("--trainer.logger.save_dir=lightning_logs")
    return found


def config_file(name: str) -> str:
    """Return the file of a config that is given by name, such as `mnist_lenet` or `with/fast`.

    In other folders than that of the clone, `configs/mnist_lenet.yaml` is such a name, too.
    """
    path = CONFIGS / f"{name.removeprefix('configs/').removesuffix('.yaml')}.yaml"
    bare = re.fullmatch(r"[\w/.-]+", name) and not Path(name).exists() and path.is_file()
    return shown(path) if bare else name


def slip(command: str, words: list[str]) -> str | None:
    """Return what is wrong with a command line, and the line to type instead; None if nothing is.

    Args:
        command: `fit`, `validate`, `test` or `predict`.
        words: The words after it.
    """
    if command == "fit" and not words:
        return f"fit needs a model and data, from a config.\n{meant('fit', EXAMPLE)}"
    for place, (before, word) in enumerate(zip(["", *words], words, strict=False)):
        file = not word.startswith("-") and not before.startswith("-") and Path(word).exists()
        if command == "predict" and "--images" not in words and file:
            right = [*words[:place], "--images", *words[place:]]
            return f"{word} is given without --images.\n{meant(command, right)}"
        if is_bare_config(words[:place], word):
            right = completed([*words[:place], "--config", *words[place:]])
            return f"{word} is given without --config.\n{meant(command, right)}"
        name, equal, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and (why := LINKED.get(name.replace(".init_args.", "."))):
            return f"--{name} cannot be set: leave it out, since {why}."
        ours = "resume" if (command, name) == ("fit", "run") else OTHER_FLAGS.get(name)
        if word.startswith("--") and ours:
            chosen = any(one.startswith(CHOOSING) for one in words)
            right = [*words[:place], f"--{ours}{equal}{value}", *words[place + 1 :]]
            right = right if chosen else [*EXAMPLE, *right]
            return f"there is no flag --{name}.\n{meant(command, right)}"
    return overlay_alone(command, words)


def overlay_alone(command: str, words: list[str]) -> str | None:
    """Return the message for a command whose only configs are overlays, and that names no model."""
    configs = [*given_configs(words)]
    if not configs or any(word.startswith(("--model", "--run", "--resume")) for word in words):
        return None
    if not all(CONFIGS / "with" in Path(config).resolve().parents for config in configs):
        return None
    right = meant(command, [*EXAMPLE, *words])
    return f"{configs[0]} only changes a config, which must come before it.\n{right}"


def given_configs(words: list[str]) -> Iterator[str]:
    for before, word in zip(["", *words], words, strict=False):
        if before in CONFIG_FLAGS:
            yield word
        elif word.startswith("--config="):
            yield word.removeprefix("--config=")


def is_bare_config(before: list[str], word: str) -> bool:
    """Return whether a word names a config, and comes first or after a config."""
    after_config = not before or before[-1].startswith("--config=")
    after_config |= len(before) > 1 and before[-2] in CONFIG_FLAGS
    named = word.endswith((".yaml", ".yml")) or config_file(word) != word
    return after_config and not word.startswith("-") and named


def meant(command: str, words: list[str]) -> str:
    """Return the line to type instead."""
    return f"Did you mean {as_typed([command, *words])}?"


def as_typed(words: Sequence[str]) -> str:
    """Return a command line as a person types it; installed, it names configs without a folder."""
    if INSTALLED:
        words = [word.replace(f"{shown(CONFIGS)}/", "") for word in words]
    return f"python -m src.cli {shlex.join(words)}"
