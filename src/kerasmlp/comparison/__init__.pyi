from . import report as report
from .compare import (
    assert_loops_agree as assert_loops_agree,
    compare_loops as compare_loops,
    compare_rows as compare_rows,
    new_processes as new_processes,
)
from .result import Comparison as Comparison
from .row import Row as Row
from .start import handbook_model as handbook_model, start_from as start_from
