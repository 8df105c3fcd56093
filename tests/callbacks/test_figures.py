"""Check which pictures a run writes, and that they do not change the training."""

import json
import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.callbacks import Figures, LayerHealth
from src.callbacks.figures import whole
from src.callbacks.pictures import Seen, of_result
from src.data import MNIST
from src.models import LeNet, ReLUMLP
from src.runs.curves import read_curves
from tests.conftest import PROJECT
from tests.models.test_training import trainer

Run = Callable[..., dict[str, Any]]
pytestmark = pytest.mark.usefixtures("pictures")
OF_RESULT = {"confusion_matrix", "confused_pairs", "class_scores", "reliability", "predictions",
             "worst_mistakes", "first_layer"}  # fmt: skip
MISTAKES = {"confused_pairs", "worst_mistakes"}  # drawn only if there are any
OF_TRAINING = {"curves", "learning_rate", "gradients"}
EXPECTED = {
    "mnist_logistic": OF_RESULT | OF_TRAINING,
    "mnist_sigmoid_mlp": OF_RESULT | OF_TRAINING | {"units"},
    "mnist_lenet": OF_RESULT | OF_TRAINING | {"units", "feature_maps"},
    "line": {"line_fit", "loss_surface", "predicted_vs_true", "residuals"} | OF_TRAINING,
    "line_noisy": {"line_fit", "loss_surface", "predicted_vs_true", "residuals"} | OF_TRAINING,
    "regression_mlp": {"predicted_vs_true", "residuals", "units"} | OF_TRAINING,
    "noise_lenet": {"predicted_vs_true", "residuals", "first_layer", "feature_maps", "units"}
    | OF_TRAINING,
}
FAST = ("mnist_logistic", "line", "mnist_lenet", "untested", "least squares", "no logs")


def some_slow(names: Iterable[str]) -> list[Any]:
    return [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]


def fit(run: Run, config: str, *words: str) -> Path:
    """Run a config for two epochs and return its folder."""
    image = ["--data.val_size=50"] if config.startswith("mnist") else []
    path = str(PROJECT / f"configs/{config}.yaml")
    epochs = ["--trainer.max_epochs=2", "--trainer.check_val_every_n_epoch=1"]
    run("fit", "--config", path, *image, *epochs, "--trainer.enable_progress_bar=false", *words)
    return max(Path("lightning_logs", config).glob("version_*"))


def names(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.png")}


def images(folder: Path) -> dict[str, list[bytes]]:
    """Return the images that TensorBoard shows, by tag."""
    found: dict[str, list[bytes]] = {}
    for file in sorted(folder.glob("events*")):
        events = EventAccumulator(str(file), size_guidance={"images": 0}).Reload()
        for tag in events.Tags()["images"]:
            shown = [event.encoded_image_string for event in events.Images(tag)]
            found.setdefault(tag, []).extend(shown)
    return found


@pytest.mark.parametrize("config", some_slow(EXPECTED))
def test_a_run_writes_the_expected_pictures(config: str, run: Run) -> None:
    folder = fit(run, config)
    metrics = json.loads((folder / "results.json").read_text())["metrics"]
    missing = MISTAKES if metrics.get("test/acc") == 1 else set()
    assert names(folder / "figures") == EXPECTED[config] - missing
    shown = images(folder)
    for path in folder.glob("figures/*.png"):
        stage = "train" if path.stem in OF_TRAINING | {"units"} else "test"
        assert shown[f"{stage}/{path.stem}"] == [path.read_bytes()]
        assert np.asarray(Image.open(path)).std() > 5  # something is drawn
    assert (folder / "report.html").stat().st_size > 50_000


@pytest.mark.parametrize(("words", "expected"), [
    (["--figures.only=[curves,reliability]"], {"curves", "reliability"}),
    (["--figures.drop=[first_layer,units]"], (OF_RESULT | OF_TRAINING) - {"first_layer"}),
    (["--figures.only=[]", "--report=false"], set()),
])  # fmt: skip
def test_pictures_are_selected_and_dropped_by_name(
    words: list[str], expected: set[str], run: Run
) -> None:
    folder = fit(run, "mnist_relu_mlp", *words)
    assert names(folder / "figures") == expected - MISTAKES  # there are none on toy images
    assert (folder / "report.html").exists() == ("--report=false" not in words)


def test_an_unknown_picture_name_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        fit(run, "mnist_relu_mlp", "--figures.only=[confusion]")
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "figures.only" in error
    assert error.count("\n") <= 3


def test_validation_pictures_are_drawn_every_n_epochs(run: Run) -> None:
    often = ["--trainer.max_epochs=4", "--figures.every_n_epochs=2"]
    folder = fit(run, "mnist_relu_mlp", *often, "--figures.only=[confusion_matrix,curves]")
    assert {path.name for path in folder.glob("figures/epoch*")} == {"epoch02", "epoch04"}
    assert names(folder / "figures/epoch02") == {"confusion_matrix"}
    shown = images(folder)
    assert (len(shown["val/confusion_matrix"]), len(shown["test/confusion_matrix"])) == (2, 1)


def test_the_test_command_writes_its_own_pictures_and_report(run: Run) -> None:
    folder = fit(run, "mnist_relu_mlp")
    [best] = folder.glob("checkpoints/best*")
    run("test", "--config", str(folder / "config.yaml"), "--ckpt_path", str(best))
    tested = folder.parent / "version_1"
    assert names(tested / "figures") == OF_RESULT - MISTAKES
    for name in OF_RESULT - MISTAKES:
        file = Path("figures", f"{name}.png")
        assert (tested / file).read_bytes() == (folder / file).read_bytes()
    assert (tested / "report.html").exists()


def seen(data_root: Path, model: Any) -> Seen:
    data = MNIST(root=str(data_root), val_size=50)
    data.setup("test")
    split = data.splits["test"]
    x = (split.x.float() - data.mean) / data.std
    with torch.no_grad():
        return Seen(model, data, "test", model(x), split.y)


def test_the_confusion_matrix_equals_counts_of_the_test_set(data_root: Path) -> None:
    """The numbers in the picture equal counts by numpy from the outputs of the model."""
    about = seen(data_root, ReLUMLP(hidden=[16]))
    expected = np.zeros((10, 10), dtype=int)
    np.add.at(expected, (about.y.numpy(), about.output.argmax(dim=1).numpy()), 1)
    texts = [text.get_text() for text in of_result(about)["confusion_matrix"]().axes[0].texts]
    shown = [int(text.partition("\n")[0]) for text in texts]
    assert shown == expected[expected > 0].tolist()


def test_the_worst_mistakes_have_the_lowest_probability_of_the_true_class(data_root: Path) -> None:
    about = seen(data_root, ReLUMLP(hidden=[16]))
    probability = about.probabilities.numpy()[np.arange(130), about.y.numpy()]
    wrong = np.flatnonzero(about.output.argmax(dim=1).numpy() != about.y.numpy())
    worst = wrong[np.argsort(probability[wrong], kind="stable")][:30]
    texts = [text.get_text() for text in of_result(about)["worst_mistakes"]().axes[0].texts]
    assert [int(text[-1]) for text in texts] == about.y.numpy()[worst].tolist()
    predicted = about.output.argmax(dim=1).numpy()[worst].tolist()
    assert [int(text[0]) for text in texts] == predicted


def test_images_equal_those_in_the_files(data_root: Path) -> None:
    about = seen(data_root, ReLUMLP(hidden=[16]))
    chosen = torch.tensor([3, 77])
    expected = about.data.splits["test"].x[chosen] / 255
    torch.testing.assert_close(about.images(chosen), expected, atol=1e-6, rtol=0)


def test_feature_maps_equal_the_output_of_the_convolution(data_root: Path) -> None:
    about = seen(data_root, LeNet(input_shape=(1, 28, 28)))
    figure = of_result(about)["feature_maps"]()
    maps = about.model.net[0](about.batch(torch.tensor([0])))[0, 0].detach()
    scaled = (maps - maps.min()) / (maps.max() - maps.min())
    drawn = figure.axes[1].images[0].get_array()[:24, :24]
    np.testing.assert_allclose(drawn, scaled, atol=1e-6)


@pytest.mark.slow
def test_pictures_do_not_change_training(data_root: Path) -> None:
    def weights(*callbacks: Callback) -> torch.Tensor:
        torch.manual_seed(0)
        model, data = LeNet(input_shape=(1, 28, 28)), MNIST(root=str(data_root), val_size=50)
        model.net.append(torch.nn.Dropout(0.5))
        fit = trainer(max_epochs=1, callbacks=list(callbacks))
        fit.fit(model, datamodule=data)
        fit.test(model, datamodule=data, verbose=False)
        fit.fit_loop.max_epochs = 2
        fit.fit(model, datamodule=data)
        assert fit.current_epoch == 2
        modes = {module.training for module in model.modules()}
        assert modes == {True}
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(), weights(Figures(every_n_epochs=1), LayerHealth()))


def test_samples_of_several_processes_are_gathered_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gather(examples: torch.Tensor, found: list[Any], share: Any) -> None:
        found[:] = [examples[rank::3] for rank in range(3)]

    three: Any = type("Trainer", (), {"world_size": 3})
    for n in (7, 6, 1):
        examples = torch.arange(2 * n).view(n, 2)
        monkeypatch.setattr("torch.distributed.all_gather_object", partial(gather, examples))
        assert torch.equal(whole(three, examples[1::3]), examples)


def test_a_picture_that_fails_is_named_and_the_results_are_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("no ink")

    monkeypatch.setattr("src.plots.classification.class_scores", broken)
    with pytest.warns(UserWarning, match="class_scores could not be drawn: ValueError.*no ink"):
        folder = fit(run, "mnist_relu_mlp")
    assert names(folder / "figures") == (OF_RESULT | OF_TRAINING | {"units"}) - MISTAKES - {
        "class_scores"
    }
    assert "test/acc" in json.loads((folder / "results.json").read_text())["metrics"]


class Bare(ReLUMLP):
    """A user's model without type hints, whose test step returns nothing to draw."""

    def __init__(self, input_shape, num_outputs, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(input_shape, num_outputs, hidden=[8], **kwargs)

    def test_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        super().test_step(batch, batch_idx)


UNUSUAL = {
    "untested": ["mnist_relu_mlp", "--trainer.limit_test_batches=0"],
    "tested in part": ["mnist_relu_mlp", "--trainer.limit_test_batches=1"],
    "accumulated": ["mnist_relu_mlp", "--trainer.accumulate_grad_batches=2"],
    "several evaluations": ["mnist_relu_mlp", "--model.optimizer=LBFGS", "--trainer.max_epochs=1"],
    "an epoch": ["mnist_relu_mlp", "--trainer.max_epochs=1"],
    "two slopes": ["line", "--model.bias=false", "--data.slope=[1,2]"],
    "two layers of one": ["line", "--model=ReLUMLP", "--model.hidden=[1]", "--model.bias=false",
                          "--model.loss=mse", "--trainer.callbacks=[]"],
    "a class for a word": ["mnist_relu_mlp", "--trainer.strategy=SingleDeviceStrategy",
                           "--trainer.strategy.device=cpu"],
    "own model": ["mnist_relu_mlp", "--model=tests.callbacks.test_figures.Bare"],
    "least squares": ["mnist_relu_mlp", "--model=LinearRegression"],
    "no logger": ["mnist_relu_mlp", "--trainer.logger=false"],
    "no logs": ["mnist_relu_mlp", "--trainer.log_every_n_steps=0"],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:The first epoch has not changed")  # "two layers of one"
@pytest.mark.parametrize("name", some_slow(UNUSUAL))
def test_an_unusual_run_gets_a_report(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINENET_ALLOW", "tests")
    words = UNUSUAL[name]
    folder = fit(run, *words)
    page = (folder / "report.html").read_text()
    assert ("not tested" in page) == ("--trainer.limit_test_batches=0" in words)
    assert "curves.png" in page


@pytest.mark.parametrize("every", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_first_logged_loss_is_near_that_of_guessing(every: int, run: Run) -> None:
    folder = fit(run, "mnist_logistic", f"--trainer.accumulate_grad_batches={every}")
    [start] = read_curves((folder / "curves.csv").read_text())["start/loss"][1]
    assert start == pytest.approx(math.log(10), abs=0.5)


def test_a_regression_in_sixteen_bits_is_drawn(run: Run) -> None:
    assert "predicted_vs_true" in names(
        fit(run, "line", "--trainer.precision=bf16-true") / "figures"
    )
