"""What a sweep prints: a line for each trial that ends, the best so far, and a table at the end."""

import sys
from collections.abc import Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from scripts.many.numbers import shown
from scripts.sweep.attempts import REASON, first_number, is_done
from scripts.sweep.outcome import Outcome, epochs, outcome, seconds


class Display:
    """Context manager that shows the progress of a sweep, with a bar in a terminal.

    Args:
        study: The study.
        total: The number of trials that are wanted.
        metric: The name of the metric.
    """

    def __init__(self, study: Study, total: int, metric: str) -> None:
        self.study, self.total, self.metric = study, total, metric
        self.told = {one.number for one in study.get_trials(deepcopy=False) if is_done(one)}
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.progress = Progress(
            *columns,
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # lines above the bar, but not those for a file
        )
        self.bar = self.progress.add_task("Starting", total=total)

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, trials: Sequence[FrozenTrial]) -> None:
        """Print the trials that have ended since the last call, of all workers.

        Args:
            trials: All attempts.
        """
        found = outcome(self.study, trials, self.total)
        best = self._best(found)
        for trial in [one for one in found.trials if is_done(one)]:
            if trial.number not in self.told:
                self.told.add(trial.number)
                print(f"trial {first_number(trial)}: {ending(trial, self.metric)}; {best}")
        self.progress.update(self.bar, completed=self.total - found.left, description=best)

    def _best(self, found: Outcome) -> str:
        if not found.best:
            return "no trial complete yet"
        value = shown(self.metric, found.best.value)
        return f"best {self.metric} {value} (trial {first_number(found.best)})"


def ending(trial: FrozenTrial, metric: str) -> str:
    """Return how a trial has ended, in a few words."""
    reason = trial.user_attrs.get(REASON)
    if reason:
        return f"{'diverged' if trial.state == TrialState.PRUNED else 'failed'}: {reason}"
    took = f"{seconds(trial):.1f} s"
    value = f"{metric} {shown(metric, trial.value)}"
    if trial.state == TrialState.PRUNED:
        number = epochs(trial)
        return f"pruned after {number} epoch{'s' * (number != 1)}, {value}, {took}"
    return f"{value}, {took}"


def print_table(title: str, rows: Sequence[tuple[str, Any]]) -> None:
    """Print names and values."""
    console = Console()
    if not console.is_terminal:  # nobody resizes a file: leave lines whole
        console = Console(width=1000)
    table = Table(title=Text(title), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(str(value)))
    console.print(table)
