"""The space of a sweep: read from YAML, checked against the parser, and counted for a grid."""

from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest

from scripts.sweep.space import Setting, covering, grid, suggested, words
from scripts.sweep.space_file import read_space
from src.errors import UserError
from tests.conftest import PROJECT

CONFIGS = PROJECT / "configs"
FIT = ["--config", str(CONFIGS / "mnist_relu_mlp.yaml"), "--data.val_size=50"]
CONDITIONAL = """
model.optimizer: [SGD, Adam]
model.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}
model.optimizer.momentum: {low: 0.0, high: 0.9, when: {model.optimizer: SGD}}
data.batch_size: {low: 20, high: 40, step: 10}
model.hidden: [[8], [8, 4]]
"""


@pytest.fixture
def read(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that reads the text of a space."""
    monkeypatch.setenv("DATA_DIR", str(data_root))

    def function(text: str) -> list[Setting]:
        Path("space.yaml").write_text(text)
        return [*read_space("space.yaml", FIT)]

    return function


def test_a_space_is_read_as_written(read: Any) -> None:
    optimizer, rate, momentum, batch, hidden = read(CONDITIONAL)
    assert optimizer.choices == ["SGD", "Adam"]
    assert (rate.low, rate.high, rate.log, rate.whole) == (1e-4, 1e-1, True, False)
    assert momentum.when == {"model.optimizer": ["SGD"]}
    assert (batch.low, batch.high, batch.step, batch.whole) == (20, 40, 10, True)
    assert hidden.choices == ["[8]", "[8, 4]"]  # Optuna stores no lists


def test_proposals_stay_in_the_space_and_keep_its_conditions(read: Any) -> None:
    space = read(CONDITIONAL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [suggested(space, study.ask()) for _ in range(200)]
    for params in found:
        assert ("model.optimizer.momentum" in params) == (params["model.optimizer"] == "SGD")
        assert 1e-4 <= params["model.optimizer.lr"] <= 1e-1
        assert params["data.batch_size"] in (20, 30, 40)
    below = sum(params["model.optimizer.lr"] < 10**-2.5 for params in found)
    assert 70 < below < 130  # half of them, since the logarithm is uniform


def test_values_become_words_of_fit() -> None:
    params = {"a.b": 1e-05, "c": "[8, 4]", "d": True, "e": None, "f": "SGD", "g": 3}
    expected = ["--a.b=1e-05", "--c=[8, 4]", "--d=true", "--e=null", "--f=SGD", "--g=3"]
    assert words(params) == expected


def test_a_grid_equals_a_plain_product() -> None:
    kind = Setting("kind", choices=["SGD", "Adam"])
    momentum = Setting("momentum", low=0.0, high=0.9, step=0.3, when={"kind": ["SGD"]})
    size = Setting("size", low=1, high=3)
    expected = [
        {"kind": "SGD", "momentum": pytest.approx(m), "size": s}
        for m, s in product((0, 0.3, 0.6, 0.9), (1, 2, 3))
    ]
    expected += [{"kind": "Adam", "size": s} for s in (1, 2, 3)]
    assert [*grid([kind, momentum, size])] == expected


def test_each_value_is_checked_at_least_once(read: Any) -> None:
    space = read(CONDITIONAL)
    rows = [*covering(space)]
    tried = {pair for row in rows for pair in row.items()}
    assert tried == {(setting.name, value) for setting in space for value in setting.extremes()}
    for row in rows:
        assert ("model.optimizer.momentum" in row) == (row["model.optimizer"] == "SGD")
    assert len(rows) <= 4


@pytest.mark.parametrize("file", sorted((CONFIGS / "sweeps").glob("*.yaml")), ids=lambda f: f.stem)
def test_a_shipped_space_fits_the_config_in_its_first_line(
    file: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(data_root))
    command = file.read_text().splitlines()[0].split()
    assert command[1:3] == ["./scripts/run", "sweep"]
    config, space = (command[command.index(flag) + 1] for flag in ("--config", "--space"))
    assert PROJECT / space == file
    assert read_space(str(file), ["--config", str(PROJECT / config), "--data.val_size=50"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "space.yaml has no settings: expected lines such as"),
        ("# nothing\n", "space.yaml has no settings"),
        ("- 1\n", "has no settings"),
        ("a: [1\n", "space.yaml, line 2"),
        ("model.dropout: [0.1]\nmodel.dropout: [0.2]\n", "is given twice, before in line 1"),
        ("model.dropoot: {low: 0.0, high: 0.5}\n", "Did you mean dropout?"),
        ("model.optimizer.lrr: [0.1]\n", "lr"),
        ("lr: [0.1]\n", "--model.optimizer.lr"),
        ("model.dropout: {low: 0.5, high: 0.1}\n", "low 0.5 is not below high 0.1"),
        ("model.dropout: {low: 0.1, high: 0.1}\n", "low 0.1 is not below high 0.1"),
        ("model.dropout: {low: 0.0, high: 0.1, log: true}\n", "low 0.0 has no logarithm"),
        ("model.dropout: {low: 0.1, high: 0.5, log: true, step: 0.1}\n", "log and step"),
        ("model.dropout: {low: 0.1, high: 0.5, log: yes please}\n", "log: got yes please"),
        ("model.dropout: {low: 0.0, high: 0.5, step: 0.2}\n", "no whole number of steps"),
        ("model.dropout: {low: 0.0, high: 0.5, step: 0}\n", "step: got 0"),
        ("data.batch_size: {low: 10, high: 20, step: 2.5}\n", "a whole number above 0"),
        ("model.dropout: {low: 0.1}\n", "high is missing"),
        ("model.dropout: {low: a, high: 0.1}\n", "low: got a; expected a number"),
        ("model.dropout: {low: 0.1, high: .inf}\n", "high: got inf; expected a number"),
        ("model.dropout: {lo: 0.1, high: 0.5}\n", "Did you mean low?"),
        ("model.dropout: 0.5\n", "expected a list of choices, or low and high"),
        ("model.dropout: []\n", "expected a list, such as [32, 64]"),
        ("model.dropout: [0.1, 0.1]\n", "the choice 0.1 is given twice"),
        ("model.dropout: {choices: [0.1], low: 0.1}\n", "got choices and low"),
        ("model.dropout: [0.1, 3.0]\n", "--model.dropout"),
        ("model.dropout: {low: 0.1, high: 3.0}\n", "--model.dropout"),
        ("model.optimizer: [SGD, Adamm]\n", "Did you mean Adam"),
        ("model.optimizer: [SGD, Adam]\nmodel.optimizer.momentum: [0.5]\n", "momentum"),
        ("model.dropout: {low: 0.1, high: 0.5, when: SGD}\n", "expected e.g. when:"),
        ("model.dropout: {low: 0.1, high: 0.5, when: {model.optimizer: SGD}}\n", "not above it"),
        (
            "model.optimizer: [SGD]\nmodel.dropout: {choices: [0], when: {model.optimizer: Adam}}",
            "model.optimizer is never Adam; expected some of SGD",
        ),
        ("trainer.logger: [false]\n", "does not change the training"),
        ("report: [false]\n", "does not change the training"),
        ("seed_everything: [0, 1]\n", "the best seed is luck"),
        ("model.optimizer: [SGD, Adam]\nmodel.optimizer.momentum: [0.5]\n", "Tried: --model.opt"),
        ("a: {choices: [1], when: {b: 1}}\nb: [1]\n", "Give b first"),
        ("data.seed: [1]\n", "--seed_everything"),
        (
            "model.scheduler: [OneCycleLR]\nmodel.scheduler.max_lr: [0.1]\n"
            "model.optimizer.lr: [0.1]\n",
            "model.optimizer.lr has no effect, since OneCycleLR sets it.",
        ),
    ],
)
def test_a_wrong_space_is_refused_in_three_lines(read: Any, text: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        read(text)
    assert message in str(refused.value)
    assert "space.yaml" in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3


def test_a_missing_file_is_named_with_the_nearest_one() -> None:
    Path("lenet.yaml").write_text("a: [1]")
    with pytest.raises(UserError, match=r"--space lenett.yaml: no such file.\nDid you mean lenet"):
        read_space("lenett.yaml", FIT)
