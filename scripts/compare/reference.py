"""Chooses the row that all other rows are compared with."""

from collections.abc import Sequence
from statistics import mean

from scripts.compare.rows import Group, chosen, values
from scripts.compare.runs import UsageError


def reference(
    groups: Sequence[Group], names: Sequence[str], metric: str, against: list[str]
) -> tuple[int, str]:
    """Return the position of the row to compare with, and why it is this one.

    Args:
        groups: The rows.
        names: Their labels.
        metric: What is compared.
        against: Conditions `KEY=VALUE` that name it; without any, it is the best by validation.

    Raises:
        UserError: If the conditions hold for no row, or for several.
    """
    if not against:
        return best(groups, metric)
    named = chosen([group[0] for group in groups], against, "--against")
    found = [place for place, group in enumerate(groups) if group[0] in named]
    if len(found) > 1:
        labels = "; ".join(names[place] for place in found[:5])
        raise UsageError(
            f"--against {' '.join(against)}: {len(found)} rows have this value, expected one.\n"
            f"They are {labels}. Repeat --against, to name a second setting."
        )
    return found[0], "named by --against"


def best(groups: Sequence[Group], metric: str) -> tuple[int, str]:
    """Return the best row on validation data: the best on test data would be so by luck, too."""
    name = f"val/{metric.rpartition('/')[2]}"
    if not all(values(group, name) for group in groups):
        name = metric
    known = [place for place, group in enumerate(groups) if values(group, name)] or [0]
    sign = 1 if name.endswith("/acc") else -1
    chosen_one = max(known, key=lambda place: sign * mean(values(groups[place], name) or [0]))
    return chosen_one, f"the best by {name}"
