from .average import EvaluateAverage as EvaluateAverage
from .csv_logger import CSVLogger as CSVLogger
from .interruption import (
    Interrupted as Interrupted,
    Interruption as Interruption,
    handled as handled,
    resumable_by as resumable_by,
)
from .losses import (
    BatchLosses as BatchLosses,
    PrintBatchLoss as PrintBatchLoss,
    StopAtNonFinite as StopAtNonFinite,
)
from .profile import Profile as Profile
from .progress import ProgressLine as ProgressLine
from .stopwatch import Stopwatch as Stopwatch
