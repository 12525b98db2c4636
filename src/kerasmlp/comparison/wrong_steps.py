"""The known mistakes in a train step, each as the wrong step that it leads to."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasmlp import loops
from kerasmlp.comparison.reference import RIGHT, Batch, Step, assign, own_gradients, variables
from kerasmlp.comparison.verdict import State, same
from kerasmlp.data import unpacked


@dataclasses.dataclass(frozen=True)
class WrongStep:
    """A mistake, and the step that it leads to.

    Mistakes of one kind are variants of each other. Of several that explain a step, the first is named.
    A mistake of two kinds, as `training and penalties`, is named if neither gives the step alone.

    Attributes:
        batches: the batches that it takes; None for the right ones.
        before: returns the state from which it is taken, given the right one; None for the right one.
    """

    kind: str
    name: str
    step: Step = RIGHT
    batches: Sequence[Batch] | None = None
    before: Callable[[State], State] | None = None


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What is known of a wrong step of a loop.

    Attributes:
        model: the reference's.
        initial: the state before the first step.
        before, expected: the right step goes from `before` to `expected`.
        received: the state after the loop's step. The optimizer's part is that of the optimizer which
            the loop uses, if it is one like the compiled one.
        batches: the right ones.
        drawn: the batches that the loop drew from a dataset for the step, as far as they were seen.
        optimizer: the optimizer that the loop uses, as it is now; None if it is none of Keras'.
        slots: the values of its variables before the step.
        has_own_optimizer: whether that is not the compiled one.
        is_new: whether the loop may have made it for this step.
        unheard: `before`, without what callbacks have changed since the last step.
    """

    model: keras.Model
    initial: State
    before: State
    expected: State
    received: State
    batches: Sequence[Batch]
    drawn: Sequence[Batch]
    optimizer: Any
    slots: State
    has_own_optimizer: bool
    is_new: bool
    unheard: State

    @property
    def batch_size(self) -> int:
        return loops.batch_length(self.batches[0])

    def changes(self, *, trainable: bool = True) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Yield each variable of the model that is trained (or not), and its values.

        They are those before the step, after the right one, and after the loop's.
        """
        trained = {variable.path for variable in self.model.trainable_variables}
        states = self.before, self.expected, self.received
        for variable, *values in zip(self.model.variables, *states, strict=False):
            if (variable.path in trained) == trainable:
                yield variable, *values


def with_forward_passes(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield mistakes in what a step does to statistics and seeds."""

    def twice(model: keras.Model, batch: Batch) -> list[Any]:
        model(unpacked(batch)[0], training=True)
        return own_gradients(model, batch)

    def again(model: keras.Model, batch: Batch) -> None:
        model(unpacked(batch)[0], training=True)

    def then_again(model: keras.Model, batch: Batch) -> list[Any]:
        gradients = own_gradients(model, batch)
        again(model, batch)
        return gradients

    unmoved = [
        variable
        for variable, old, right, new in evidence.changes(trainable=False)
        if np.array_equal(old, new) and not np.array_equal(old, right)
    ]

    def kept(model: keras.Model, batch: Batch) -> list[Any]:
        old = [tf.identity(variable.value) for variable in unmoved]
        gradients = own_gradients(model, batch)
        assign(unmoved, old)
        return gradients

    if any("seed_generator" in variable.path for variable in evidence.model.variables):
        jitted = functools.partial(_gradients_by_xla, jit_compile=not evidence.model.jit_compile)
        name = (
            "XLA compiles the steps of this loop or those of the first row, not both, and draws other"
            " random numbers; compare loops that are compiled alike"
        )
        yield WrongStep("XLA", name, Step(jitted))
    name = "the model is called twice with training=True: that moves statistics or seeds twice"
    for step in (Step(then_again), Step(twice), Step(after=again)):
        yield WrongStep("passes", name, step)
    if unmoved:
        paths = ", ".join(variable.path for variable in unmoved)
        yield WrongStep("kept", f"statistics are not moved: {paths} stay as they were", Step(kept))


def with_other_variables(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield mistakes in which weights are trained, and from which state."""
    for number, variable in enumerate(variables(evidence.model)):
        old, new = evidence.before[number], evidence.received[number]
        if variable.path.endswith("learning_rate") and old != new:
            name = f"another learning rate: {float(new):g}, not {float(old):g}"
            changed = functools.partial(_replaced, number=number, value=new)
            yield WrongStep("learning rate", name, before=changed)
            setting = functools.partial(_set, variable, new)  # for the next step
            yield WrongStep("learning rate", name, Step(after=setting))
    frozen = [
        variable
        for variable, old, right, new in evidence.changes()
        if np.array_equal(old, new) and not np.array_equal(old, right)
    ]
    if not same(evidence.unheard, evidence.before):
        name = "the loop ignores its callbacks, which change the state before this step"
        yield WrongStep("callbacks", name, before=lambda right: evidence.unheard)
    if frozen and len(frozen) < len(evidence.model.trainable_variables):
        name = f"these variables are not trained: {', '.join(each.path for each in frozen)}"
        yield WrongStep("frozen", name, _without_training(frozen))
    elif frozen:
        nothing = "the loop trains nothing: no variable is trained in this step"
        yield WrongStep("frozen", nothing, _without_training(frozen))
        yield WrongStep("frozen", nothing, Step(apply=lambda model, gradients: None))
    thawed = [
        variable
        for variable, old, right, new in evidence.changes(trainable=False)
        if np.array_equal(old, right) and not np.array_equal(old, new) and old.dtype.kind == "f"
    ]
    if thawed:
        name = f"frozen variables are trained: {', '.join(each.path for each in thawed)}"
        yield WrongStep("thawed", name, _training_too(thawed, evidence))
    weights = len(evidence.model.variables)
    reset = [*evidence.before[:weights], *evidence.initial[weights:]]
    if evidence.is_new:
        lost = "the optimizer is made anew: its state is lost"
        yield WrongStep("anew", lost, before=lambda right: [*right[:weights], *reset[weights:]])
    again = "the weights are set back to their initial values"
    yield WrongStep("reset", again, before=lambda right: [*evidence.initial[:weights], *right[weights:]])


def with_other_data(evidence: Evidence) -> Iterator[WrongStep]:
    """Yield mistakes in the batch, other than another one."""
    batches = list(evidence.batches)
    yield WrongStep("batches", "the batch is used twice", batches=2 * batches)
    for factor in (255.0, 1 / 255.0):
        scale = functools.partial(_scaled, factor=factor)
        scaled = [_with_parts(batch, x=scale) for batch in batches]
        yield WrongStep("inputs", f"the inputs are changed: multiplied by {factor:.4g}", batches=scaled)
    orders: dict[str, Callable[[Any], Any]] = {
        "shifted by one": lambda y: tf.roll(y, 1, axis=0),
        "shifted back by one": lambda y: tf.roll(y, -1, axis=0),
        "reversed": lambda y: tf.reverse(y, [0]),
    }
    for how, order in orders.items():
        name = f"labels do not belong to their inputs: they are {how}"
        yield WrongStep("labels", name, batches=[_with_parts(batch, y=order) for batch in batches])
    if len(unpacked(batches[0])) == 3:
        name = "sample weights are left out (class weights are sample weights)"
        yield WrongStep("weights", name, batches=[unpacked(batch)[:2] for batch in batches])
    if len(evidence.drawn) > 1:
        count = len(evidence.drawn)
        for factor, how in ((1 / count, "mean"), (1.0, "sum")):
            name = f"gradients are accumulated: those of {count} batches make an update (their {how})"
            yield WrongStep("accumulated", name, _accumulated(evidence.drawn, factor))


def _gradients_by_xla(model: keras.Model, batch: Batch, *, jit_compile: bool) -> list[Any]:
    gradients = tf.function(
        lambda each: own_gradients(model, each), jit_compile=jit_compile, autograph=False
    )
    return list(gradients(batch))


def _replaced(state: State, *, number: int, value: Any) -> State:
    return [*state[:number], value, *state[number + 1 :]]


def _set(variable: Any, value: Any, *_: Any) -> None:
    variable.assign(value)


def _without_training(frozen: list[Any]) -> Step:
    def apply(model: keras.Model, gradients: list[Any]) -> None:
        old = [tf.identity(variable.value) for variable in frozen]
        RIGHT.apply(model, gradients)
        assign(frozen, old)

    return Step(apply=apply)


def _training_too(thawed: list[Any], evidence: Evidence) -> Step:
    """Return a step that trains more variables, with a new optimizer like that of the loop."""

    def gradients(model: keras.Model, batch: Batch) -> list[Any]:
        trained = [*model.trainable_variables, *thawed]
        with tf.GradientTape() as tape:
            for variable in thawed:
                tape.watch(variable.value)
            x, *rest = unpacked(batch)
            y_pred = model(x, training=True)
            loss = model.compute_loss(x, *rest[:1], y_pred, *rest[1:], training=True)
        return tape.gradient(loss, [variable.value for variable in trained])

    def apply(model: keras.Model, gradients: list[Any]) -> None:
        used = evidence.optimizer or model.optimizer
        optimizer = type(used).from_config(used.get_config())
        optimizer.apply(gradients, [*model.trainable_variables, *thawed])

    return Step(gradients, apply)


def _accumulated(batches: Sequence[Batch], factor: float) -> Step:
    def gradients(model: keras.Model, batch: Batch) -> list[Any]:
        of_batches = [own_gradients(model, each) for each in batches]
        return [
            tf.add_n([tf.convert_to_tensor(g) for g in gs]) * factor
            for gs in zip(*of_batches, strict=True)
        ]

    return Step(gradients)


def _with_parts(batch: Batch, **change: Callable[[Any], Any]) -> Batch:
    """Return the batch with functions applied to the tensors of its parts `x` and `y`."""
    parts = dict(zip(("x", "y", "sample_weight"), unpacked(batch), strict=False))
    for name, function in change.items():
        if name in parts:
            parts[name] = tf.nest.map_structure(function, parts[name])
    return tuple(parts.values())


def _scaled(x: Any, factor: float) -> Any:
    return x * tf.cast(factor, x.dtype) if x.dtype.is_floating else x
