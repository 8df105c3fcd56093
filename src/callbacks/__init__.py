"""What happens beside training; a class listed here has a short name on the command line."""

from src.callbacks.closed_form import ClosedForm
from src.callbacks.figures import ConfusionMatrix, LineFit
from src.callbacks.hparams import HParams
from src.callbacks.predictions import PredictionWriter
from src.callbacks.run_record import RunRecord

__all__ = ["ClosedForm", "ConfusionMatrix", "HParams", "LineFit", "PredictionWriter", "RunRecord"]
