from .average import EvaluateAverage
from .interruption import Interrupted, Interruption, handled, resumable_by
from .losses import BatchLosses, PrintBatchLoss, StopAtNonFinite
from .profile import Profile
from .progress import ProgressLine
from .stopwatch import Stopwatch

__all__ = [
    "BatchLosses",
    "EvaluateAverage",
    "Interrupted",
    "Interruption",
    "PrintBatchLoss",
    "Profile",
    "ProgressLine",
    "StopAtNonFinite",
    "Stopwatch",
    "handled",
    "resumable_by",
]
