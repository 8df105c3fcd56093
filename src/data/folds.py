"""Parts of a training set for cross-validation: classes in equal shares, a group never in two."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from src.errors import UserError


def parts(
    y: Tensor, folds: int, seed: int, names: Sequence[str], groups: Sequence[str] | None = None
) -> list[Tensor]:
    """Return the samples of each part, with about the same share of each class, int64 `(m,)`.

    They are those of scikit-learn's StratifiedKFold or, with groups, StratifiedGroupKFold.

    Args:
        y: The class of each sample, int64 `(n,)`.
        folds: The number of parts.
        seed: Decides the shuffling.
        names: The names of the classes, for messages.
        groups: The group of each sample, all of whose samples are in one part.

    Raises:
        UserError: If there are too few samples, or groups, for so many parts.
    """
    # It takes a second to import, and only this function needs it.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    _check_classes(y, folds, names)
    if groups is not None:
        _check_groups(groups, folds)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(folds, shuffle=True, random_state=int(seed))
    found = [torch.from_numpy(part) for _, part in splitter.split(y, y.numpy(), groups)]
    for part in found:
        _check_part(y, part, folds, names)
    return found


def _check_classes(y: Tensor, folds: int, names: Sequence[str]) -> None:
    counts = Counter(y.tolist())
    rarest, count = min(counts.items(), key=lambda one: one[1])
    if folds > count:
        raise UserError(
            f"--data.folds {folds} is too large: class {names[rarest]} has {count} training"
            f" {'sample' if count == 1 else 'samples'}, fewer than one for each part.\n"
            f"{f'Give up to {count}, or' if count > 1 else 'Give'} more samples of that class."
        )


def _check_groups(groups: Sequence[str], folds: int) -> None:
    sizes = Counter(groups)
    if folds > len(sizes):
        raise UserError(
            f"--data.folds {folds} is too large: --data.groups finds"
            f" {len(sizes)} {'group' if len(sizes) == 1 else 'groups'}.\n"
            f"{f'Give up to {len(sizes)}, or' if len(sizes) > 1 else 'Give'} other groups."
        )
    largest, size = max(sizes.items(), key=lambda one: one[1])
    if 2 * size > len(groups):
        raise UserError(
            f"--data.groups: group {largest} has {size:,} of {len(groups):,} training samples;"
            " while it is held out,\nless than half is left to train on. Divide it into groups."
        )


def _check_part(y: Tensor, part: Tensor, folds: int, names: Sequence[str]) -> None:
    """Refuse a part that is empty, or that holds all samples of a class."""
    counts, own = y.bincount(), y[part].bincount(minlength=int(y.max()) + 1)
    whole = (own == counts) & (counts > 0)
    if whole.any():
        name = names[int(whole.nonzero()[0])]
        raise UserError(
            f"--data.groups: all training samples of class {name} are in one part of {folds},"
            " as few groups have it.\nWhile it is held out, none is left to train on:"
            " give smaller groups, or --data.folds 2."
        )
    if not len(part):
        raise UserError(
            f"--data.folds {folds}: the groups are so unequal that a part is empty.\n"
            "Give fewer folds, or groups of similar size."
        )
