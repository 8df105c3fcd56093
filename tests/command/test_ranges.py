"""The parser refuses values out of range and accepts values at the limits.

An error names the flag, the value and what was expected. No data is read.
"""

from typing import Any

import pytest

from scripts.faults.commands import Typo, build_parsers, refusal
from src.command.checks import invalid_values
from tests.conftest import PROJECT

MOST_COUNT, MOST_SEED = 10_000_000, 2**32 - 1
RANGES: dict[str, list[tuple[str, list[float], list[float]]]] = {  # flag, good values, bad values
    "mnist_mlp": [
        ("seed_everything", [0, MOST_SEED], [-1, MOST_SEED + 1]),
        ("data.batch_size", [1, 100_000], [0, -1]),
        ("data.val_size", [1], [0, -1]),
        ("data.train_size", [1], [0, -1]),
        ("data.test_size", [1], [0, -1]),
        ("data.split_seed", [0, MOST_SEED], [-1, MOST_SEED + 1]),
        ("data.pad", [0, 1000], [-1, 1001]),
        ("data.augment.shift", [0, 1.5, 1000], [-0.1, 1000.1]),
        ("data.augment.rotation", [0, 180], [-1, 181]),
        ("data.augment.scale", [0, 1], [-0.1, 1.1]),
        ("data.augment.shear", [0, 89], [-1, 90]),
        ("data.augment.elastic", [0, 1000], [-1, 1001]),
        ("data.augment.elastic_sigma", [0, 1000], [-1, 1001]),
        ("data.augment.flip", [0, 0.5, 1], [-0.1, 1.1]),
        ("data.augment.crop", [0, 1000], [-1, 1001]),
        ("data.augment.erase", [0, 1], [-0.1, 1.1]),
        ("model.dropout", [0, 0.5, 1], [-0.1, 1.1]),
    ],
    "folder_lenet": [("data.size", [1, 10_000], [0, -1, 10_001]), ("data.channels", [1, 3], [2])],
    "line": [
        ("data.noise", [0, 1e9], [-0.1]),
        ("data.num_points", [1, MOST_COUNT], [0, -1, MOST_COUNT + 1, 10**9]),
        ("data.num_held_out", [1, MOST_COUNT], [0, -1, MOST_COUNT + 1]),
        ("data.points_seed", [0, MOST_SEED], [-1, MOST_SEED + 1]),
    ],
    "noise_lenet": [
        ("data.num_targets", [1, 100_000], [0, -1, 100_001]),
        ("data.num_examples", [1, MOST_COUNT], [0, MOST_COUNT + 1]),
    ],
    "regression_mlp": [("data.num_features", [1, 100_000], [0, -1, 100_001])],
}
ROWS = [(config, *row) for config, rows in RANGES.items() for row in rows]
OPTIONS = [  # of Lightning and torch: the parser refuses only values that are not finite numbers
    ("mnist_mlp", "model.optimizer.lr"),
    ("mnist_mlp", "model.scheduler.max_lr"),
    ("mnist_mlp", "trainer.max_epochs"),
    ("mnist_mlp", "trainer.gradient_clip_val"),
    ("mnist_mlp", "trainer.limit_train_batches"),
    ("mnist_mlp", "checkpoint.save_top_k"),
    ("line", "data.slope"),
    ("line", "data.low"),
]
NO_NULL = [
    ("mnist_mlp", "model.hidden", "Sequence"),
    ("mnist_mlp", "model.bias", "bool"),
    ("mnist_mlp", "model.loss", "'mse'"),
    ("mnist_mlp", "model.optimizer", "Optimizer"),
    ("mnist_mlp", "model.optimizer.lr", "float"),
    ("mnist_mlp", "data.batch_size", "PositiveInt"),
    ("mnist_mlp", "data.name", "'KMNIST'"),
    ("mnist_mlp", "trainer.logger.save_dir", "Path"),
    ("line", "data.slope", "float"),
]
NULL = ["model.scheduler", "data.root", "data.train_size", "data.augment", "trainer.max_epochs",
        "trainer.callbacks", "trainer.logger.name", "checkpoint.monitor"]  # fmt: skip


@pytest.fixture(scope="module")
def parser() -> Any:
    return build_parsers()[0]


def error(parser: Any, config: str, flag: str, value: object) -> str | None:
    """Return the error of a flag, at most three lines, or None if it is accepted."""
    words = ["fit", "--config", str(PROJECT / f"configs/{config}.yaml"), f"--{flag}={value}"]
    text = refusal(parser, Typo(words, flag, flag))
    assert text is None or len(text.splitlines()) <= 3
    return text


@pytest.mark.parametrize(("config", "flag", "good", "bad"), ROWS, ids=[row[1] for row in ROWS])
def test_numbers_out_of_range_are_refused_and_others_accepted(
    parser: Any, config: str, flag: str, good: list[float], bad: list[float]
) -> None:
    for value in good:
        assert error(parser, config, flag, value) is None
    for value in bad:
        text = error(parser, config, flag, value) or ""
        assert f"--{flag}: " in text
        assert str(value) in text
        assert "xpected" in text


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "abc", "{a: 1}"])
@pytest.mark.parametrize(("config", "flag"), [row[:2] for row in ROWS] + OPTIONS)
def test_values_other_than_finite_numbers_are_refused(
    parser: Any, config: str, flag: str, value: str
) -> None:
    text = error(parser, config, flag, value) or ""
    assert f"--{flag}: " in text
    assert "xpected" in text


@pytest.mark.parametrize("value", [0, -1, 100_001, "x"])
def test_every_number_of_a_list_is_checked(parser: Any, value: object) -> None:
    assert "--model.hidden: " in (error(parser, "mnist_mlp", "model.hidden", f"[9,{value}]") or "")
    assert error(parser, "mnist_mlp", "model.hidden", "[1,100000]") is None


@pytest.mark.parametrize(("config", "flag", "expected"), NO_NULL)
def test_null_is_refused_where_a_value_is_needed(
    parser: Any, config: str, flag: str, expected: str
) -> None:
    text = error(parser, config, flag, "null") or ""
    assert f"--{flag}: " in text
    assert expected in text


@pytest.mark.parametrize("flag", NULL)
def test_null_is_accepted_where_none_is_allowed(parser: Any, flag: str) -> None:
    assert error(parser, "mnist_mlp", flag, "null") is None


def test_settings_of_unknown_classes_are_not_checked() -> None:
    spec = {"class_path": "not.imported.Net", "init_args": {"width": None, "values": [1.0, "inf"]}}
    assert not list(invalid_values(spec, "model"))
    assert [key for key, _ in invalid_values({"a": {"b": [0.0, float("inf")]}})] == ["a.b"]
