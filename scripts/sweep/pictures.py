"""Optuna's pictures of a study, as PNG files in memory."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from optuna.importance import FanovaImportanceEvaluator
from optuna.search_space import intersection_search_space
from optuna.study import Study
from optuna.visualization import matplotlib as optuna_pictures

from src.plots.style import png

plt.switch_backend("Agg")
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # of fonts that Optuna names

CAPTIONS = {
    "history": "Each complete trial, and the best so far.",
    "importance": "The share of each setting in the differences between trials (fANOVA).",
    "parallel": "Each line is a trial; dark lines are the best.",
    "slices": "Each setting against the metric, one dot a trial.",
    "epochs": "The metric during training; short lines are pruned trials.",
}


def pictures(study: Study, metric: str) -> dict[str, bytes]:
    """Return the pictures by caption; one for which there are too few trials is left out.

    Args:
        study: A study of the trials that count.
        metric: The name of the metric.
    """
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # fonts of Optuna's style
    trials = study.get_trials(deepcopy=False)
    shared = [*intersection_search_space(trials)]  # the settings that all trials have
    settings = {name for trial in trials for name in trial.params}
    draw: dict[str, Callable[[], Any]] = {
        "history": lambda: optuna_pictures.plot_optimization_history(study, target_name=metric),
        "importance": lambda: optuna_pictures.plot_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), target_name=metric
        ),
        "parallel": lambda: optuna_pictures.plot_parallel_coordinate(
            study, shared, target_name=metric
        ),
        "slices": lambda: optuna_pictures.plot_slice(study, target_name=metric),
        "epochs": lambda: without_legend(optuna_pictures.plot_intermediate_values(study)),
    }
    wide = {"parallel": (9, 5), "slices": (max(6, 3.4 * len(settings)), 3.5)}
    found = {name: drawn(function, wide.get(name, (7, 4.5))) for name, function in draw.items()}
    return {CAPTIONS[name]: picture for name, picture in found.items() if picture}


def without_legend(axes: Any) -> Any:
    """Return axes without the legend, which has a line for each trial."""
    if axes.get_legend():
        axes.get_legend().remove()
    axes.set(title="Metric by epoch", xlabel="epochs")
    return axes


def drawn(function: Callable[[], Any], size: tuple[float, float]) -> bytes | None:
    """Return a picture of Optuna; None if it refuses, e.g. since all trials are equal.

    Args:
        function: Draws it.
        size: Its size in inches.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            axes = function()
            figure = (axes if hasattr(axes, "figure") else axes.flat[0]).figure
            figure.set_size_inches(size)
            return png(figure, bbox_inches="tight")
        except (ValueError, RuntimeError, ZeroDivisionError):
            return None
        finally:
            plt.close("all")
