"""What happens beside training; a class listed here has a short name on the command line."""

from src.callbacks.closed_form import ClosedForm
from src.callbacks.figures import Figures
from src.callbacks.finite_guard import FiniteGuard
from src.callbacks.hparams import HParams
from src.callbacks.identity import Identity
from src.callbacks.layer_health import LayerHealth
from src.callbacks.own_images import OwnImagesTeller
from src.callbacks.predictions import PredictionWriter
from src.callbacks.resume_points import ResumePoints
from src.callbacks.run_record import RunRecord
from src.callbacks.step_seed import StepSeed

__all__ = [
    "ClosedForm", "Figures", "FiniteGuard", "HParams", "Identity", "LayerHealth",
    "OwnImagesTeller", "PredictionWriter", "ResumePoints", "RunRecord", "StepSeed",
]  # fmt: skip
