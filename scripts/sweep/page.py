"""`sweep.html`: the best settings of a sweep, Optuna's pictures, and a row for each trial."""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from optuna.trial import FrozenTrial

from scripts.sweep.attempts import first_number
from scripts.sweep.best import score
from scripts.sweep.display import ending
from scripts.sweep.outcome import Outcome, epochs, seconds
from scripts.sweep.pictures import CAPTIONS
from scripts.sweep.worker import RUN
from src.files import write_whole


@dataclass
class Row:
    """A trial as the page shows it.

    Attributes:
        number: Its number.
        value: The metric as text.
        state: How it ended, in one word.
        why: Why, if it failed or has diverged.
        epochs: The number of epochs.
        seconds: How long it took.
        params: The value of each setting, empty for those that it does not have.
        link: The path of its run folder from the page; None if it is on another machine.
        place: The path of its run folder there.
    """

    number: int
    value: str
    state: str
    why: str
    epochs: int
    seconds: str
    params: list[Any]
    link: str | None
    place: str


def write_page(
    folder: Path,
    name: str,
    metric: str,
    found: Outcome,
    facts: list[tuple[str, str]],
    images: dict[str, bytes],
) -> Path:
    """Write the page into the folder of a sweep, and return its path.

    Args:
        folder: The folder.
        name: The name of the experiment.
        metric: The name of the metric.
        found: What the sweep has found.
        facts: What the table at its top says.
        images: The pictures, by name.
    """
    ranked = [*found.complete, *found.pruned, *found.failed]
    names = list(dict.fromkeys(name for trial in ranked for name in trial.params))
    place = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=place, autoescape=True, undefined=StrictUndefined)
    text = template.get_template("page.html").render(
        title=f"Sweep of {name}",
        verdict=f"{metric} {score(metric, found.best.value if found.best else None)}",
        facts=facts,
        best=found.best.params if found.best else {},
        pictures=[(CAPTIONS[n], b64encode(image).decode()) for n, image in images.items()],
        metric=metric,
        names=names,
        rows=[row(folder, name, trial, metric, names) for trial in ranked],
    )
    path = folder / "sweep.html"
    write_whole(path, text)
    return path


def row(folder: Path, name: str, trial: FrozenTrial, metric: str, names: list[str]) -> Row:
    """Return a trial as the page shows it."""
    run = Path(name, f"trial_{first_number(trial)}")
    why = ending(trial, metric)
    return Row(
        number=first_number(trial),
        value=score(metric, trial.value),
        state=trial.state.name.lower(),
        why=why if trial.user_attrs.get("reason") else "",
        epochs=epochs(trial),
        seconds=f"{seconds(trial):.1f}",
        params=[shown(trial.params.get(one, "")) for one in names],
        link=str(run) if (folder / run).exists() else None,
        place=trial.user_attrs.get(RUN, ""),
    )


def shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
