"""What both checks of a loop share: the check through its hooks, and the check of short calls."""

from collections.abc import Callable

from kerasmlp.comparison.causes import Cause, Experiment
from kerasmlp.comparison.rounding import Rounding
from kerasmlp.comparison.verdict import Divergence, State
from kerasmlp.data import Batches


class Checker:
    """Compares executions of a loop, which should use `train`, with the same steps of the reference.

    The attributes `divergence`, `steps`, `measured` and `share` are those of a `Trajectory`.
    """

    def __init__(self, rounding: Rounding, train: Batches) -> None:
        super().__init__()
        self.divergence: Divergence | None = None
        self.steps = 0
        self.measured = 0
        self.share = 0.0
        self._rounding = rounding
        self._reference = rounding.reference
        self._train = train

    def _measure(
        self, step: int, execution: Experiment, expected: State, find_cause: Callable[[], Cause | None]
    ) -> None:
        """Measure the bound for an execution from `step` on. If it is exceeded, set the divergence."""
        found = self._rounding.deviation(
            execution.before, execution.batches, expected, execution.received
        )
        self.measured += 1
        self.share = max(self.share, found.share)
        if not found.is_rounding:
            cause = find_cause()
            self.divergence = Divergence(
                step, found.variable, found.size, found.bound, str(cause) if cause else None
            )
