"""A user's mistake gives at most three lines, no traceback, and the nearest correct name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.cli import main
from src.command.messages import essence
from tests.conftest import PROJECT

CONFIGS = PROJECT / "configs"
LOGISTIC = ["fit", "--config", str(CONFIGS / "mnist_logistic.yaml")]


def refused(capsys: pytest.CaptureFixture[str], words: list[str], code: int = 2) -> str:
    """Run a command that is refused, and return its error of at most three lines."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == code
    text = capsys.readouterr().err.strip()
    assert text.startswith("error: ")
    assert len(text.splitlines()) <= 3
    assert len(text.splitlines()[0]) <= 160
    assert all(len(line) < 400 for line in text.splitlines())
    return text


@pytest.mark.parametrize(
    ("words", "expected", "suggestion"),
    [
        ([*LOGISTIC, "--trainer.max_epoch=3"], "max_epoch", "trainer.max_epochs"),
        ([*LOGISTIC, "--trainr.max_epochs=3"], "trainr.max_epochs", "trainer.max_epochs"),
        ([*LOGISTIC, "--model.optimizer.lrr=3"], "lrr", "lr"),
        ([*LOGISTIC, "--model.optimizer=Adamm"], "Adamm", "Adam"),
        ([*LOGISTIC, "--model.biass=true"], "biass", "bias"),
        ([*LOGISTIC, "--model=LeNett"], "LeNett", "LeNet"),
        ([*LOGISTIC, "--data=MNISTT"], "MNISTT", "MNIST"),
        ([*LOGISTIC, "--model.lr=0.1"], "lr", "--model.optimizer.lr"),
        ([*LOGISTIC, "--model=ReLUMLP", "--model.hidden=300"], "hidden", "[300]"),
        ([*LOGISTIC, "--model.optimizer.lr", "-1e-3", "--data.batchsize=3"], "", "batch_size"),
        ([*LOGISTIC, "--data.batchsize=3"], "batchsize", "batch_size"),
        ([*LOGISTIC, "--data.name=FashonMNIST"], "FashonMNIST", "FashionMNIST"),
        ([*LOGISTIC, "--data.augment.rotaton=3"], "rotaton", "rotation"),
        ([*LOGISTIC, "--checkpoint.monitr=x"], "checkpoint.monitr", "checkpoint.monitor"),
        (
            ["fit", "--config", "configs/mnist_logistc.yaml"],
            "mnist_logistc",
            "Did you mean mnist_logistic or",
        ),
        (["fit", "--config", "with/fats"], "with/fats", "Did you mean with/fast?"),
        (["fit", "--config", "fats.yaml"], "fats.yaml", "Did you mean with/fast?"),
        (["fitt"], "fitt", "fit"),
    ],
)
def test_a_mistyped_name_is_refused_with_a_suggestion(
    words: list[str], expected: str, suggestion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, words)
    assert expected in text
    assert suggestion in text.splitlines()[-1]


@pytest.mark.parametrize(
    ("old", "new", "suggestion"),
    [
        ("max_epochs", "max_epoch", "trainer.max_epochs"),
        ("bias:", "bia:", "bias"),
        ("lr:", "lrr:", "lr"),
        ("SGD", "SGDD", "SGD"),
        ("data: MNIST", "data: MNITS", "MNIST"),
        ("trainer:", "trainr:", "trainer.max_epochs"),
    ],
)
def test_a_mistyped_name_in_a_config_is_refused_with_a_suggestion(
    old: str, new: str, suggestion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (CONFIGS / "mnist_logistic.yaml").read_text()
    assert old in text
    Path("mine.yaml").write_text(text.replace(old, new))
    assert suggestion in refused(capsys, ["fit", "--config", "mine.yaml"]).splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([*LOGISTIC, "--data.batch_size=0"], "batch_size"),
        ([*LOGISTIC, "--data.batch_size=many"], "expected a whole number above 0, got many"),
        ([*LOGISTIC, "--seed_everything=null"], "expected a whole number from 0 to 4,294,967,295"),
        ([*LOGISTIC, "--model=ReLUMLP", "--model.dropout=1.5"], "dropout"),
        ([*LOGISTIC, "--trainer.max_epochs=x"], "trainer.max_epochs"),
        ([*LOGISTIC, "--model.scheduler=StepLR"], "step_size"),
        ([*LOGISTIC, "extra"], "extra"),
        (["--config", "x.yaml", "fit"], "x.yaml"),
    ],
)
def test_a_wrong_value_is_refused(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected.lower() in refused(capsys, words).lower()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([*LOGISTIC, "--trainer.accelerator=fpu"], "accelerator"),
        ([*LOGISTIC, "--data=Line"], "cross_entropy"),
        (["fit", "--model=LeNet", "--data=Line"], "16x16"),
        (["fit", "--model=LinearRegression", "--data=Line"], "checkpoint.monitor"),
        ([*LOGISTIC, "--data.source=mnist"], "MNIST is not in"),
        ([*LOGISTIC, "--data.name=KMNIST"], "KMNIST is not in"),
        (["fit", "--config", str(CONFIGS / "folder_lenet.yaml")], "does not exist"),
        (["fit", "--config", str(CONFIGS / "cifar10_lenet.yaml")], "CIFAR-10 is not in"),
        ([*LOGISTIC, "--ckpt_path=gone.ckpt"], "gone.ckpt"),
        (["test", *LOGISTIC[1:]], "needs a run"),
        ([*LOGISTIC, f"--ckpt_path={PROJECT}/README.md"], "is damaged, or not a checkpoint"),
        ([*LOGISTIC, "--trainer.callbacks+=ClosedForm", "--data.source=digits"], "ClosedForm"),
        ([*LOGISTIC, "--data.source=digits", "--model.optimizer.lr=-1"], "lr"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refused(capsys, words, code=1)


def test_a_checkpoint_of_another_model_or_shape_is_refused(
    run: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--data.val_size=50", "--trainer.max_epochs=1"]
    checkpoint = run(*LOGISTIC, *small)["best_checkpoint"]
    mlp = ["test", "--config", str(CONFIGS / "mnist_mlp.yaml"), "--data.val_size=50"]
    capsys.readouterr()
    text = refused(capsys, [*mlp, "--ckpt_path", checkpoint], code=1)
    assert "holds a LogisticRegression, but the model is ReLUMLP" in text
    padded = ["test", *LOGISTIC[1:], "--data.val_size=50", "--data.pad=2"]
    assert "size mismatch" in refused(capsys, [*padded, "--ckpt_path", checkpoint], code=1)


def test_an_existing_run_folder_is_refused(
    run: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        *LOGISTIC,
        "--data.val_size=50",
        "--trainer.max_epochs=1",
        "--trainer.logger.version=7",
    ]
    run(*words)
    capsys.readouterr()
    assert "exists already, and is not overwritten" in refused(capsys, words, code=1)


def test_a_broken_yaml_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.yaml").write_text("model: [")
    refused(capsys, ["fit", "--config", "broken.yaml"])


def test_essence_keeps_the_key_and_the_error() -> None:
    report = 'Parser key "data":\n  Errors:\n    - Problem with given class_path\n        Parser key "n":\n          Not of type PositiveInt: 0 does not conform to restriction v>0'  # noqa: E501
    assert essence(report).startswith("--data.n: 0 is out of range: expected >0")


def test_help_starts_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "fit --config configs/mnist_mlp.yaml" in capsys.readouterr().out


def test_help_on_a_class_explains_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--model.help=ReLUMLP"])
    text = capsys.readouterr().out
    assert "Share of hidden units" in text
    assert "A class of torch.optim" in text


@pytest.mark.parametrize("flag", ["--data.seed", "--model.num_outputs", "--model.input_shape"])
def test_a_flag_whose_value_comes_from_elsewhere_is_refused(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", str(CONFIGS / "mnist_lenet.yaml"), f"{flag}=3"])
    assert stop.value.code == 2
    assert f"error: {flag} cannot be set: leave it out, since" in capsys.readouterr().err


def test_a_flag_that_a_class_lacks_is_not_suggested_for_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(CONFIGS / "mnist_lenet.yaml"), "--model.dropout=0.5"])
    error = capsys.readouterr().err
    assert "--model: Option 'dropout' is not accepted" in error
    assert "--model.dropout" not in error
