"""Nested settings are flattened to dotted names, and compared."""

from pathlib import Path

from src.runs.differences import differences
from src.runs.settings import flat

ADAM = {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1, "betas": [0.9, 0.99]}}


def test_a_class_becomes_its_short_name_and_dotted_arguments() -> None:
    model = {"class_path": "src.models.LeNet", "init_args": {"optimizer": ADAM, "bias": False}}
    assert flat({"seed": 3, "model": model}) == {
        "seed": 3, "model": "LeNet", "model.optimizer": "Adam", "model.optimizer.lr": 0.1,
        "model.optimizer.betas": "[0.9, 0.99]", "model.bias": False,
    }  # fmt: skip
    assert flat({"a": {"class_path": "Plain"}}) == {"a": "Plain"}
    assert flat({"a": {"class_path": "x.Plain", "init_args": None}}) == {"a": "Plain"}


def test_numbers_and_none_are_kept_and_other_values_become_text() -> None:
    plain = {"a": None, "b": True, "c": 1, "d": 0.5, "e": "word"}
    assert flat(plain) == plain
    assert flat({"a": [1, None], "b": Path("x/y")}) == {"a": "[1, None]", "b": "x/y"}
    assert flat({"_class_path": "x", "_n": 1, "n": 1}) == {"n": 1}


def test_groups_of_any_depth_are_flattened() -> None:
    found = flat({"trainer": {"logger": {"class_path": "x.Logger", "init_args": {"n": 1}}}})
    assert found["trainer.logger"] == "Logger"
    assert found["trainer.logger.n"] == 1


def test_differences_are_value_and_default_by_name() -> None:
    def adam(lr: float) -> dict[str, object]:
        return {"class_path": "torch.optim.Adam", "init_args": {"lr": lr, "eps": 1e-8}}

    changed = {"optimizer": adam(0.5), "epochs": 5, "clip": None, "same": [1], "new": None}
    default = {"optimizer": adam(0.001), "epochs": 10, "clip": 0.5, "same": [1], "removed": 7}
    assert differences(changed, default) == {
        "optimizer.lr": (0.5, 0.001), "epochs": (5, 10), "clip": (None, 0.5),
    }  # fmt: skip
    assert differences(default, default) == {}


def test_another_class_is_a_difference() -> None:
    sgd = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.9}}
    found = differences({"optimizer": sgd}, {"optimizer": ADAM})
    assert found["optimizer"] == ("SGD", "Adam")
    assert found["optimizer.momentum"][0] == 0.9
