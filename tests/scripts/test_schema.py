"""The JSON schema accepts every shipped config, and rejects unknown keys and wrong types."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from scripts.schema import main, schema
from src.cli import main as linenet
from tests.conftest import PROJECT

CONFIGS = sorted((PROJECT / "configs").rglob("*.yaml"))
CONFIGS = [path for path in CONFIGS if path.parent.name != "sweeps"]  # spaces, not configs
CONFIGS = [path for path in CONFIGS if path.name != "local.yaml"]
SGD = "model: {{init_args: {{optimizer: {{class_path: SGD, init_args: {{{}}}}}}}}}"
SCHEDULER = "model: {{init_args: {{scheduler: {{class_path: {}, init_args: {{{}}}}}}}}}"
WRONG = {
    "an unknown key": "modle: LeNet",
    "a key of the trainer": "trainer: {max_epoch: 3}",
    "a type of the trainer": "trainer: {max_epochs: many}",
    "a choice": "model: {init_args: {loss: l1}}",
    "an argument of another model": "model: {class_path: LeNet, init_args: {hidden: [64]}}",
    "an argument of no model": "model: {init_args: {hiden: [64]}}",
    "a list": "model: {class_path: ReLUMLP, init_args: {hidden: 64}}",
    "an item": "model: {class_path: ReLUMLP, init_args: {hidden: [a]}}",
    "an optimizer": SGD.format("betas: [0, 0]"),
    "a learning rate": SGD.format("lr: high"),
    "a scheduler": SCHEDULER.format("CosineAnnealingLR", "t_max: 3"),
    "a slip in a name": "model: Lenet",
    "a slip in a class": "model: {class_path: Lenet}",
    "another class": SCHEDULER.format("Counter", "iterable: 3"),
    "an addition to what is no list": "model: {init_args: {scheduler+: StepLR}}",
    "a length": SCHEDULER.format("CosineAnnealingLR", "T_max: many"),
    "a seed of the data": "data: {class_path: MNIST, init_args: {seed: 3}}",
    "a mode of the checkpoint": "checkpoint: {mode: min}",
    "a data set": "data: {class_path: src.data.MNIST, init_args: {batchsize: 3}}",
    "augmentation": "data: {class_path: MNIST, init_args: {augment: {rotate: 3}}}",
    "a callback": "trainer: {callbacks: [{class_path: Timer, init_args: {intervall: step}}]}",
    "a picture": "figures: {every_n_epoch: 3}",
}
RIGHT = {
    "names": "{model: LeNet, data: MNIST, trainer: {logger: false, callbacks: Timer}}",
    "an own class": "model: {class_path: mine.Net, init_args: {depth: 3}}",
    "an integer for a number": SGD.format("lr: 1"),
    "a scheduler": SCHEDULER.format("CosineAnnealingLR", "T_max: 3"),
    "a scheduler that monitors": SCHEDULER.format(
        "ReduceLROnPlateau", "monitor: val/acc, factor: 1"
    ),
    "no scheduler": "model: {class_path: LeNet, init_args: {scheduler: null}}",
    "more callbacks": "trainer: {callbacks+: [{class_path: Timer}]}",
}


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(schema())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid(path: Path, validator: Draft7Validator) -> None:
    assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize("case", RIGHT)
def test_what_the_parser_accepts_is_valid(case: str, validator: Draft7Validator) -> None:
    assert list(validator.iter_errors(yaml.safe_load(RIGHT[case]))) == []


@pytest.mark.parametrize("case", WRONG)
def test_unknown_keys_and_wrong_types_are_not_valid(case: str, validator: Draft7Validator) -> None:
    assert not validator.is_valid(yaml.safe_load(WRONG[case]))


def test_only_classes_that_fit_are_suggested(validator: Draft7Validator) -> None:
    arguments = validator.schema["properties"]["model"]["anyOf"][1]["allOf"][0]["then"]
    suggested = str(arguments)
    assert "'StepLR'" in suggested
    assert "'SGD'" in suggested
    for other in ("'Counter'", "'partial'", "'Optimizer'", "'LRScheduler'", "'scheduler+'"):
        assert other not in suggested


def test_a_printed_config_is_valid(
    validator: Draft7Validator, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        linenet(["fit", "--config", str(PROJECT / "configs/mnist_lenet.yaml"), "--print_config"])
    assert list(validator.iter_errors(yaml.safe_load(capsys.readouterr().out))) == []


def test_it_is_printed_or_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main([])
    printed = json.loads(capsys.readouterr().out)
    Draft7Validator.check_schema(printed)
    main([str(tmp_path / "schema.json")])
    assert json.loads((tmp_path / "schema.json").read_text()) == printed
