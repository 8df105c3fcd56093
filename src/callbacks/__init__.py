"""Lightning callbacks; a class listed here has a short name in trainer.callbacks.

The work is done in runs, training, inference and plots. Only command and scripts may import it.
"""

import src.libraries  # noqa: F401  (first)
from src.callbacks.agreement import Agreement
from src.callbacks.closed_form import ClosedForm
from src.callbacks.figures import Figures
from src.callbacks.finite_guard import FiniteGuard
from src.callbacks.hparams import HParams
from src.callbacks.identity import Identity
from src.callbacks.layer_health import LayerHealth
from src.callbacks.own_images import OwnImagesReport
from src.callbacks.partial_groups import PartialGroups
from src.callbacks.predictions import PredictionWriter
from src.callbacks.provenance import Provenance
from src.callbacks.resume_points import ResumePoints
from src.callbacks.run_config import RunConfig
from src.callbacks.run_record import RunRecord
from src.callbacks.step_seed import StepSeed
from src.callbacks.trackers import Trackers
from src.callbacks.trackio_logger import TrackioLogger
from src.callbacks.unchanged import Unchanged

__all__ = [
    "Agreement", "ClosedForm", "Figures", "FiniteGuard", "HParams", "Identity", "LayerHealth",
    "OwnImagesReport", "PartialGroups", "PredictionWriter", "Provenance", "ResumePoints",
    "RunConfig", "RunRecord", "StepSeed", "Trackers", "TrackioLogger", "Unchanged",
]  # fmt: skip
