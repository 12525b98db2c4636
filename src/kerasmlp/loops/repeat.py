"""Many steps in a graph: a loop on the device, which returns the logs of its last step."""

from collections.abc import Callable

import keras
import tensorflow as tf

from kerasmlp.loops.step import Logs


def repeat(step: Callable[[tf.Tensor], Logs], steps: tf.Tensor) -> Logs:
    """Call `step` in a graph with the numbers from 0 up to `steps`. Return the logs of the last call.

    With 0 steps the logs are 0. `step` is traced twice: put what is costly into a `tf.function`.
    """
    # A loop in a graph needs a value to begin with. A trace that is not run says of which form.
    once = tf.function(lambda: step(tf.constant(0)), autograph=False).get_concrete_function()
    form = keras.tree.map_structure(lambda log: log.shape, once.structured_outputs)
    none = keras.tree.map_structure(
        lambda log: tf.zeros([size or 0 for size in log.shape], log.dtype), once.structured_outputs
    )
    _, logs = tf.while_loop(
        lambda number, logs: number < steps,
        lambda number, logs: (number + 1, step(number)),
        (tf.constant(0), none),
        shape_invariants=(tf.TensorShape([]), form),
    )
    return logs
