"""What both checks of a loop share: the check through its hooks, and the check of short calls."""

from collections.abc import Callable

from kerasmlp.comparison.causes import Cause
from kerasmlp.comparison.rounding import Rounding, StepBound
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.data import Batches


class Checker:
    """Compares executions of a loop, which should use `train`, with the same steps of the reference.

    Its public attributes are those of a `Trajectory`. A loop with its own optimizer leaves that of the
    model unchanged. Then the reference goes on with its own optimizer state, and only the weights are
    compared.
    """

    def __init__(self, rounding: Rounding, train: Batches, initial: State) -> None:
        super().__init__()
        self.divergence: Divergence | None = None
        self.steps = 0
        self.measured = 0
        self.share = 0.0
        self.has_own_optimizer = False
        self.reports_metrics = True
        self._rounding = rounding
        self._reference = rounding.reference
        self._weights = rounding.reference.weights
        self._initial = initial
        self._train = train

    @property
    def _compared(self) -> int | None:
        """The number of variables of a state that are compared. None for all."""
        return self._weights if self.has_own_optimizer else None

    def _find_own_optimizer(self, before: State, after: State) -> None:
        """Set `has_own_optimizer`: whether only the weights changed in what the loop did first."""
        weights = self._weights
        unused = same(before[weights:], after[weights:])
        self.has_own_optimizer = unused and not same(before[:weights], after[:weights])

    def _measure(
        self, step: int, right: StepBound, received: State, find_cause: Callable[[], Cause | None]
    ) -> None:
        """Measure the bound for an execution from `step` on. If it is exceeded, set the divergence."""
        found = right.deviation(received, self._compared)
        self.measured += 1
        self.share = max(self.share, found.share)
        if found.is_rounding:
            return
        try:
            cause = find_cause()
            why = str(cause) if cause else None
        except Exception as error:  # the verdict stands
            why = f"unknown, because the diagnosis failed: {type(error).__name__}: {error}"
        self.divergence = Divergence(step, found.variable, found.size, found.bound, why)
