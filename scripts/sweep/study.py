"""The study of a sweep in Optuna: what proposes the next trial, and what stops a bad one."""

import random
from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

from scripts.sweep.attempts import place
from scripts.sweep.space import Space, grid
from src.errors import UserError

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "hyperband", "none")
LARGEST_GRID = 100_000


class ByPlace(BaseSampler):
    """Proposes each trial by a sampler of its own, which depends on how many trials come before.

    So workers do not propose the same, and a sweep that was killed goes on as if it had not been.

    Args:
        create: Returns the sampler of a trial, by the number of trials before it.
    """

    def __init__(self, create: Callable[[int], BaseSampler]) -> None:
        self.create = create

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.sampler = self.create(place(study.get_trials(deepcopy=False), trial))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self.sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self.sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self.sampler.sample_independent(study, trial, param_name, param_distribution)


def sampler(name: str, space: Space, seed: int) -> BaseSampler:
    """Return what proposes trials.

    Args:
        name: `tpe` (Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011),
            `random` or `grid`, all combinations in random order.
        space: The settings that are tried.
        seed: The seed of the proposals.
    """
    if name == "grid":
        points = grid_points(space)
        random.Random(seed).shuffle(points)
        usual = RandomSampler()
        return ByPlace(lambda number: PartialFixedSampler(points[number % len(points)], usual))
    kind = {"tpe": TPESampler, "random": RandomSampler}[name]
    return ByPlace(lambda number: kind(seed=(seed * 1_000_003 + number) % 2**32))


def grid_points(space: Space) -> list[dict[str, Any]]:
    """Return all combinations of the values.

    Raises:
        UserError: If a setting has too many values to try all.
    """
    for setting in space:
        if not setting.grid():
            raise UserError(
                f"--sampler grid cannot try all of {setting.name}: {setting}.\n"
                "Give it choices or a step, or another --sampler."
            )
    points: list[dict[str, Any]] = []
    for point in grid(space):
        points.append(point)
        if len(points) > LARGEST_GRID:
            raise UserError(f"The grid has over {LARGEST_GRID:,} points; give --sampler random.")
    return points


def pruner(name: str, epochs: int | None) -> BasePruner:
    """Return what stops trials.

    Args:
        name: `median`: worse than the median of the others after as many epochs; `hyperband`
            (Li et al., JMLR 2018): several races, the third that is best going on; or `none`.
        epochs: The number of epochs of a trial, None if no limit is set.
    """
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=epochs or "auto", reduction_factor=3)
    return MedianPruner() if name == "median" else NopPruner()


def open_study(
    storage: BaseStorage, name: str, better: str, sampler: BaseSampler, pruner: BasePruner
) -> Study:
    """Return the study of this name, which is created unless another worker has done so.

    Args:
        storage: Where it is.
        name: Its name, which says what is tried.
        better: `min` or `max`.
        sampler: What proposes trials.
        pruner: What stops them.
    """
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction=f"{better}imize",
        sampler=sampler,
        pruner=pruner,
        load_if_exists=True,
    )
