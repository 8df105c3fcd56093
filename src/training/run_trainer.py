"""A trainer that keeps all files of a run in one folder."""

from pathlib import Path

from lightning.pytorch import Trainer


class RunTrainer(Trainer):
    """A trainer whose files lie in the run folder, whichever loggers there are.

    Lightning asks the first logger for a folder: loggers differ in what they answer.

    Attributes:
        run_folder: The folder, known to the first process; None if the run leaves no files.
    """

    run_folder: Path | None = None

    @property
    def log_dir(self) -> str | None:
        """The run folder, sent to all processes: each must ask."""
        return self.strategy.broadcast(str(self.run_folder) if self.run_folder else None)


def run_folder(trainer: Trainer) -> Path | None:
    """Return the run folder in the first process, without asking the others."""
    return trainer.run_folder if isinstance(trainer, RunTrainer) else None
