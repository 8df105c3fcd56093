"""The picture of the score of each seed, with the mean of each row and its interval."""

from collections.abc import Sequence

from scripts.compare.rows import Group, values
from scripts.compare.significance import mean_interval
from scripts.compare.verdicts import SEEDS
from src.plots.comparison import Scores, seed_scores
from src.plots.style import png


def drawn(groups: Sequence[Group], labels: Sequence[str], metric: str) -> bytes | None:
    """Return the picture as the bytes of a PNG file; None if no row has several seeds."""
    rows = []
    for group, label in zip(groups, labels, strict=True):
        if found := values(group, metric):
            interval = mean_interval(found) if len(found) >= SEEDS else None
            rows.append(Scores(label, found, interval))
    several = any(len(row.values) > 1 for row in rows)
    return png(seed_scores(rows, metric), bbox_inches="tight") if several else None
