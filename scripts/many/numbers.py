"""Metrics as text, the same in every table and page of many runs."""

from math import isnan


def shown(metric: str, value: float | None, sd: float | None = None) -> str:
    """Return a metric as text, with its standard deviation if there is one.

    Args:
        metric: Its name; one that ends in `acc` is shown in percent.
        value: The value; None is shown as a dash.
        sd: The standard deviation, or None.
    """
    if value is None:
        return "-"
    form = ".4f" if abs(value) >= 0.01 else ".4g"  # small errors keep their digits
    scale, form, unit = (100, ".2f", " %") if metric.endswith("acc") else (1, form, "")
    spread = "" if sd is None or isnan(sd) else f" ± {scale * sd:{form}}"
    return f"{scale * value:{form}}{spread}{unit}"
