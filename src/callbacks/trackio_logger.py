"""A logger for Trackio, which has none for Lightning."""

from collections.abc import Mapping
from typing import Any, Literal

from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from src.runs.settings import flat

MISSING = "Requirement 'trackio>=0.40' not met. HINT: Try running `pip install 'trackio>=0.40'`"


class TrackioLogger(Logger):
    """Keeps curves and settings in Trackio, on this machine; `trackio show` opens its page.

    The environment variables TRACKIO_SPACE_ID and TRACKIO_SERVER_URL send them elsewhere.

    Args:
        project: The project.
        name: The name of the run; by default that of the run folder.
        resume: Whether a run of that name goes on.
    """

    def __init__(
        self,
        project: str = "linenet",
        name: str | None = None,
        resume: Literal["never", "allow", "must"] = "never",
    ) -> None:
        super().__init__()
        try:
            import trackio
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(MISSING) from error
        self._init, self._run = trackio.init, None
        self._options = {"project": project, "name": name, "resume": resume}

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run, begun at its first use."""
        if self._run is None:
            self._run = self._init(**self._options)
        return self._run

    @property
    def name(self) -> str:
        return str(self._options["project"])

    @property
    def version(self) -> str:
        return str(self.experiment.name)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.experiment.log(dict(metrics), step=step)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self.experiment.config.update(flat(dict(params)))
