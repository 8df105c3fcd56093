"""Pictures and predictions: right numbers, and training that does not notice them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback

from src import plots
from src.callbacks.figures import ConfusionMatrix, LineFit
from src.callbacks.hparams import flat
from src.data import MNIST
from src.models import ReLUMLP
from tests.conftest import PROJECT
from tests.models.test_training import trainer

Run = Callable[..., dict[str, Any]]


def test_confusion_counts_equal_numpy(data_root: Path) -> None:
    model, data, matrix = (
        ReLUMLP(hidden=[16]),
        MNIST(root=str(data_root), val_size=50),
        ConfusionMatrix(),
    )
    trainer(callbacks=[matrix]).test(model, datamodule=data, verbose=False)
    split = data.splits["test"]
    x = (split.x.float() - data.mean) / data.std
    predicted = model.net(x).argmax(dim=1).numpy()
    expected = np.zeros((10, 10), dtype=int)
    np.add.at(expected, (split.y.numpy(), predicted), 1)
    np.testing.assert_array_equal(matrix.counts.view(10, 10).numpy(), expected)


def test_confusion_figure_shows_counts_and_names() -> None:
    figure = plots.confusion_matrix(torch.tensor([[3, 1], [0, 7]]), ["cat", "dog"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["3", "1", "", "7"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["cat", "dog"]


def test_line_figure_draws_the_points_and_the_line_in_order() -> None:
    x, y, line = torch.tensor([2.0, 1.0]), torch.tensor([5.0, 3.0]), torch.tensor([4.8, 3.1])
    axes = plots.line_fit(x, y, line).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[1, 3.1], [2, 4.8]])


def test_the_line_is_drawn_into_the_run_folder(run: Run) -> None:
    run("fit", "--config", PROJECT / "configs/line_noisy.yaml", "--trainer.max_epochs=10")
    picture = Path("lightning_logs/line_noisy/version_0/figures/line_fit.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_settings_become_one_level_of_plain_values() -> None:
    settings = {
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "fused": None}},
        "augment": {"shift": 1.0},
        "hidden": [8, 4],
        "_instantiator": "x",
    }
    expected = {"optimizer": "SGD", "optimizer.lr": 0.1, "augment.shift": 1.0, "hidden": "[8, 4]"}
    assert flat(settings) == expected


def test_pictures_do_not_change_training(data_root: Path) -> None:
    def weights(*callbacks: Callback) -> torch.Tensor:
        torch.manual_seed(0)
        model, data = ReLUMLP(hidden=[16], dropout=0.5), MNIST(root=str(data_root), val_size=50)
        fit = trainer(max_epochs=1, callbacks=list(callbacks))
        fit.fit(model, datamodule=data)
        fit.test(model, datamodule=data, verbose=False)
        fit.fit_loop.max_epochs = 2
        fit.fit(model, datamodule=data)
        assert fit.current_epoch == 2
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(), weights(ConfusionMatrix(), LineFit()))
