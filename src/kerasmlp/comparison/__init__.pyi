from . import report
from .compare import assert_loops_agree, compare_loops, compare_rows
from .process import Process, RemoteError, Talk, peak_megabytes
from .result import Comparison
from .row import Row
from .start import handbook_start

__all__ = [
    "Comparison",
    "Process",
    "RemoteError",
    "Row",
    "Talk",
    "assert_loops_agree",
    "compare_loops",
    "compare_rows",
    "handbook_start",
    "peak_megabytes",
    "report",
]
