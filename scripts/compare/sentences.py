"""Verdicts in words, for the terminal and the page."""

from collections import defaultdict
from collections.abc import Sequence

from scripts.compare.rows import Group
from scripts.compare.verdicts import Verdict, Verdicts

ONE_RUN = "One run each: other seeds may differ. A claim about the models needs 3 seeds or more."


def sentences(verdicts: Verdicts, groups: Sequence[Group], names: Sequence[str]) -> list[str]:
    """Return what the tests say, and which rows were not tested.

    Args:
        verdicts: How the rows differ from the reference.
        groups: The rows.
        names: Their labels.
    """
    sized = [f"{name} ({seeds(group)})" for name, group in zip(names, groups, strict=True)]
    found = [one for one in verdicts.found if one.difference]
    lines = [alone(one, verdicts, sized) for one in found]
    if len(found) > 1:
        lines = [f"Compared with {sized[verdicts.reference]}, {verdicts.reason}:"]
        lines += [f"- {sized[one.place]}: {told(one, verdicts)}." for one in found]
        percent = f"{100 * verdicts.level:.4g} %"
        lines += [f"Intervals are of {percent}, so that all together hold with 95 % (Bonferroni)."]
    if any(len(groups[one.place]) == 1 for one in found):
        lines.append(ONE_RUN)
    return lines + untested(verdicts, sized)


def seeds(group: Group) -> str:
    return f"{len(group)} seed{'s' * (len(group) > 1)}"


def ahead(verdict: Verdict, metric: str) -> float:
    """Return by how much the row is better than the reference, be it by chance; negative if not."""
    assert verdict.difference
    return verdict.difference.mean * (1 if metric.endswith("/acc") else -1)


def alone(verdict: Verdict, verdicts: Verdicts, names: Sequence[str]) -> str:
    """Return the verdict on the only row that was compared, as a sentence, the better one first."""
    places, lead = (verdict.place, verdicts.reference), ahead(verdict, verdicts.metric)
    first, second = (names[place] for place in (places if lead >= 0 else places[::-1]))
    about = f"({100 * verdicts.level:.4g} % interval; {verdict.basis})"
    by = f"{second} by {amount(verdict, verdicts.metric)} {about}."
    if is_shown(verdict, verdicts):
        return f"{first} is better than {by}"
    if not lead:
        return f"No difference shown: {first} equals {second} in {verdicts.metric} {about}."
    return f"No difference shown: {first} is ahead of {by}"


def told(verdict: Verdict, verdicts: Verdicts) -> str:
    """Return the verdict on one row of several."""
    lead, by = ahead(verdict, verdicts.metric), amount(verdict, verdicts.metric)
    if is_shown(verdict, verdicts):
        return f"{'better' if lead > 0 else 'worse'} by {by} ({verdict.basis})"
    place = f"{'ahead' if lead > 0 else 'behind'} by {by}" if lead else "equal"
    return f"no difference shown, {place} ({verdict.basis})"


def is_shown(verdict: Verdict, verdicts: Verdicts) -> bool:
    return verdict.difference is not None and verdict.difference.p < 1 - verdicts.level


def amount(verdict: Verdict, metric: str) -> str:
    """Return the size of a difference ± half of its interval, in points for an accuracy."""
    assert verdict.difference
    size, low, high, _ = verdict.difference
    if metric.endswith("/acc"):
        return f"{100 * abs(size):.2f} ± {50 * (high - low):.2f} points of {metric}"
    return f"{abs(size):.3g} ± {(high - low) / 2:.2g} of {metric}"


def untested(verdicts: Verdicts, names: Sequence[str]) -> list[str]:
    """Return a line for each reason why rows were not compared."""
    reasons = defaultdict(list)
    for one in verdicts.found:
        if one.difference is None:
            reasons[one.basis].append(names[one.place])
    start = f"Not compared with {names[verdicts.reference]}"
    return [f"{start}: {listed(rows)}; {reason}." for reason, rows in reasons.items()]


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
