"""Optuna's pictures of a study, as PNG files in memory."""

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import optuna
from matplotlib.ticker import NullFormatter
from optuna.importance import FanovaImportanceEvaluator
from optuna.search_space import intersection_search_space
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from optuna.visualization import matplotlib as optuna_pictures

from scripts.sweep.attempts import first_number, is_done
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


def pictures(given: Study, counting: Sequence[FrozenTrial], metric: str) -> dict[str, bytes]:
    """Return the pictures by caption; one for which there are too few trials is left out.

    Args:
        given: The study.
        counting: Its trials that count.
        metric: The name of the metric.
    """
    study = numbered(given, counting)
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


def numbered(given: Study, counting: Sequence[FrozenTrial]) -> Study:
    """Return a study in which each trial has the number of its first attempt, as elsewhere."""
    made = optuna.create_study(directions=given.directions)
    by_number = {first_number(trial): trial for trial in counting if is_done(trial)}
    gap = create_trial(state=TrialState.FAIL)
    last = max(by_number, default=-1)
    made.add_trials([by_number.get(number, gap) for number in range(last + 1)])
    return made


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
            for one in figure.axes:
                one.xaxis.set_minor_formatter(NullFormatter())  # or labels overlap
            return png(figure, bbox_inches="tight")
        except (ValueError, RuntimeError, ZeroDivisionError):
            return None
        finally:
            plt.close("all")
