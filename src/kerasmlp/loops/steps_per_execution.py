"""How many steps an execution should have, so that callbacks and Ctrl-C do not wait for long."""

import time
from typing import Any

import keras
import tensorflow as tf

from kerasmlp.data import unpacked
from kerasmlp.loops.interface import TrainingData, build_model

UPDATE_SECONDS = 0.25
"""The longest that an execution should take."""
SLOW_FLOPS = 2e10
"""Operations a second that a slow machine reaches; on 2 cores the program reaches 5 to 10 times that."""
STEP_SECONDS = 3e-5
"""What a step costs beside its arithmetic."""
DISTRIBUTED_STEP_SECONDS = 5e-3
"""What it costs where several processes exchange their gradients."""
GROUP_BYTES = 2**26
"""The most memory that the batches of an execution should take: 64 MiB."""


def responsive_steps(
    parameters: int,
    batch_size: int,
    example_bytes: int,
    steps_per_epoch: int,
    step_seconds: float = STEP_SECONDS,
) -> int:
    """Return a number of steps of an MLP that takes at most about `UPDATE_SECONDS`.

    Args:
        parameters: of the model. Each takes part in 6 operations an example: 2 in the forward pass, 2
            in the gradient by the weights, 2 in the gradient by the activations.
        batch_size: examples in a step.
        example_bytes: bytes of an example.
        steps_per_epoch: where an execution ends in any case.
        step_seconds: what a step costs beside its arithmetic.
    """
    seconds = step_seconds + 6 * parameters * batch_size / SLOW_FLOPS
    in_memory = GROUP_BYTES // (batch_size * example_bytes)
    return max(1, min(int(UPDATE_SECONDS / seconds), in_memory, steps_per_epoch))


def set_steps(model: keras.Model, steps: int | str, train: TrainingData) -> None:
    """Set how many steps an execution of the model has. `auto` leaves what `compile` has set above 1."""
    if steps != "auto":
        model.steps_per_execution = steps
    elif model.steps_per_execution == 1:
        model.steps_per_execution = automatic_steps(model, train)


def automatic_steps(model: keras.Model, train: TrainingData) -> int:
    """Return a number of steps of any model that takes at most about `UPDATE_SECONDS` on this machine.

    The forward pass is timed on one batch; a train step takes about three times as long. The number of
    parameters would not do: convolutions use each of them many times. Nothing is trained. The number
    may differ from call to call. What is trained does not depend on it.

    A model that runs eagerly, or has no forward pass of its own (`call`), gets 1. So does one with
    convolutions without a GPU: in a loop, XLA computes them on one core. Two convolutions took 2.7 times
    as long as with Keras' `fit` (`python -m benchmarks --parts models`).
    """
    if model.run_eagerly:
        return 1
    batch = unpacked(train.first_batch())
    forward = tf.function(lambda x: model(x, training=False), autograph=False)
    seconds = []
    try:
        build_model(model, train)
        for _ in range(4):  # the first call traces
            begin = time.perf_counter()
            tf.nest.map_structure(lambda output: output.numpy(), forward(batch[0]))
            seconds.append(time.perf_counter() - begin)
    except NotImplementedError:
        return 1
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    if not has_gpu and _convolves(forward.get_concrete_function(batch[0])):
        return 1
    in_memory = GROUP_BYTES // sum(
        part.shape.num_elements() * part.dtype.size
        for part in tf.nest.flatten(batch)
        if part is not None
    )
    steps = int(UPDATE_SECONDS / (STEP_SECONDS + 3 * min(seconds)))
    return max(1, min(steps, in_memory, train.steps_per_epoch))


def _convolves(function: Any) -> bool:
    """Return whether a traced function, or one that it calls, has a convolution."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return any("Conv" in node.op for node in nodes)
