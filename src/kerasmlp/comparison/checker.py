"""What both checks of a loop share: the one that follows it, and the one of short calls."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerasmlp.comparison.causes import Cause, Experiment
from kerasmlp.comparison.epoch_metrics import EpochMetrics
from kerasmlp.comparison.reference import Batch, values
from kerasmlp.comparison.rounding import Rounding, StepBound
from kerasmlp.comparison.verdict import Divergence, State, same
from kerasmlp.comparison.watching import OwnOptimizers
from kerasmlp.comparison.wrong_steps import Evidence
from kerasmlp.data import Epochs


class Checker:
    """Compares executions of a loop, which should use `train`, with the same steps of the reference.

    Its public attributes are those of a `Trajectory`, and `metrics`: those of the reference for each
    epoch. A loop with its own optimizer leaves that of the model unchanged. Then the reference goes on
    with its own optimizer state, and only the weights are compared.
    """

    def __init__(
        self,
        rounding: Rounding,
        train: Epochs,
        initial: State,
        model: keras.Model,
        own_optimizers: OwnOptimizers,
    ) -> None:
        super().__init__()
        self._own_optimizers = own_optimizers
        self._optimizer_of_model = self._slots_of = model.optimizer
        self._slots: State = initial[len(model.variables) :]  # of the optimizer that the loop uses
        self.divergence: Divergence | None = None
        self.undecided: str | None = None
        self.steps = 0
        self.measured = 0
        self.share = 0.0
        self.has_own_optimizer = False
        self.metrics: list[EpochMetrics] = []
        self._rounding = rounding
        self._reference = rounding.reference
        self._weights = rounding.reference.weights
        self._initial = initial
        self._train = train
        self._trained = model.trainable_variables

    @property
    def _compared(self) -> int | None:
        """The number of variables of a state that are compared. None for all."""
        return self._weights if self.has_own_optimizer else None

    def _find_own_optimizer(self, before: State, after: State) -> None:
        """Set `has_own_optimizer`: whether only the weights changed in what the loop did first.

        Callbacks may have set the learning rate.
        """
        weights, paths = self._weights, self._reference.paths
        kept = [i for i in range(weights, len(paths)) if not paths[i].endswith("learning_rate")]
        unused = same([before[i] for i in kept], [after[i] for i in kept])
        changed = not same(before[:weights], after[:weights])
        self.has_own_optimizer = unused and (changed or bool(self._own_optimizers.found))

    def _agrees(self, expected: State, received: State) -> bool:
        return same(expected[: self._compared], received[: self._compared])

    @property
    def _used_optimizer(self) -> Any:
        """The optimizer that the loop uses; None if it has its own, which is none of Keras'."""
        if not self.has_own_optimizer:
            return self._optimizer_of_model
        return self._own_optimizers.found[-1] if self._own_optimizers.found else None

    def _note_slots(self) -> None:
        """Note the variables of an optimizer of the loop's own, before its next step."""
        if not self.has_own_optimizer:
            return
        self._slots_of = self._used_optimizer
        self._slots = values(self._slots_of.variables) if self._slots_of is not None else []

    def _with_right_optimizer(self, seen: State, right: State) -> State:
        """Return a state of the loop, with the optimizer of the reference if the loop has its own.

        What both optimizers keep is taken from the loop's, so that rounding does not add up in it.
        """
        if not self.has_own_optimizer:
            return seen
        kept = self._slots_of.variables if self._slots_of is not None else []
        own = {self._slot(each.path): value for each, value in zip(kept, self._slots, strict=True)}
        slots = [
            own[path] if path in own and own[path].shape == value.shape else value
            for path, value in zip(map(_name, self._reference.paths), right, strict=True)
        ]
        return [*seen[: self._weights], *slots[self._weights :]]

    def _slot(self, path: str) -> str:
        """Return the name that the reference's optimizer has for what the loop's keeps at a path.

        The weights that it is kept for may have other names there: Keras numbers the models it makes.
        """
        name = _name(path)
        own, right = next((pair for pair in self._prefixes if name.startswith(pair[0])), ("", ""))
        return right + name.removeprefix(own)

    @functools.cached_property
    def _prefixes(self) -> list[tuple[str, str]]:
        """How the names of what optimizers keep for a weight begin: the loop's, the reference's."""
        weights = zip(self._trained, self._reference.model.trainable_variables, strict=True)
        pairs = [(_prefix(own), _prefix(right)) for own, right in weights]
        return sorted(pairs, key=lambda pair: -len(pair[0]))

    def _experiment(
        self,
        right: StepBound,
        received: State,
        drawn: Sequence[Batch] = (),
        unheard: State | None = None,
    ) -> Experiment:
        """Return the experiment that looks for the cause of a wrong execution, which has just ended."""
        used, weights = self._used_optimizer, self._weights
        known = received
        if self.has_own_optimizer and used is not None:
            own = values(used.variables)
            known = [*received[:weights], *right.before[weights:]]
            if [value.shape for value in own] == [value.shape for value in received[weights:]]:
                known[weights:] = own
        evidence = Evidence(
            model=self._reference.model,
            initial=self._initial,
            before=right.before,
            expected=right.expected,
            received=known,
            batches=right.batches,
            drawn=drawn,
            optimizer=used,
            slots=self._slots if used is self._slots_of else self._own_optimizers.initial(used),
            has_own_optimizer=self.has_own_optimizer,
            is_new=used is not self._slots_of,
            unheard=right.before if unheard is None else unheard,
        )
        return Experiment(right, received, evidence, self._compared)

    def _measure(
        self, step: int, right: StepBound, received: State, find_cause: Callable[[], Cause | str | None]
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


def _name(path: str) -> str:
    """Return the name of what an optimizer keeps for a variable; of its settings, the whole path."""
    _, _, name = path.rpartition("/")
    return path if name in ("iteration", "learning_rate") else name


def _prefix(weight: Any) -> str:
    """Return how the names of what Keras' optimizers keep for a weight begin."""
    return f"{weight.path.replace('/', '_')}_"
