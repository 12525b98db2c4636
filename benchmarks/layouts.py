"""What XLA would gain if it kept the first kernel transposed: the steps of the MLP, written by hand.

No train step that somebody else wrote can be run like this. It shows what there would be to win.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

BATCH, STEPS, UNITS, CLASSES = 50, 1200, 100, 10
RATE, FIRST_DECAY, SECOND_DECAY, EPSILON = 0.001, 0.9, 0.999, 1e-7  # Adam's

AS_KERAS = "[784, 100], as Keras has it"
AROUND = "[100, 784], turned back for each step"
THROUGHOUT = "[100, 784], and a step written for it"

Weights = list[tf.Tensor]


def measure(repeats: int) -> dict[str, Any]:
    """Return the seconds of an epoch on random images, in turn, after one that warms up.

    Raises:
        AssertionError: the ways do not train the same weights, but for rounding.
    """
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (STEPS, BATCH, 784), np.uint8))
    labels = tf.constant(random.integers(0, CLASSES, (STEPS, BATCH)))
    shapes = ((784, UNITS), (UNITS,), (UNITS, CLASSES), (CLASSES,))
    weights = [tf.constant(random.normal(0, 0.05, shape), tf.float32) for shape in shapes]
    ways = {layout: _epoch(layout, images, labels) for layout in (AS_KERAS, AROUND, THROUGHOUT)}
    trained = [train(weights)[0] for train in ways.values()]
    for other in trained[1:]:
        np.testing.assert_allclose(other, trained[0], atol=1e-3)
    found: dict[str, Any] = {layout: {"seconds": []} for layout in ways}
    for _ in range(repeats):
        for layout, train in ways.items():
            begin = time.perf_counter()
            train(weights)[0].numpy()
            found[layout]["seconds"].append(time.perf_counter() - begin)
    return found


def _epoch(layout: str, images: tf.Tensor, labels: tf.Tensor) -> Callable[[Weights], Weights]:
    """Return a function that trains weights for an epoch with Adam, all steps as one XLA program."""

    def turned(weights: Weights) -> Weights:
        kernel, *others = weights
        return [kernel if layout == AS_KERAS else tf.transpose(kernel), *others]

    def step(number: tf.Tensor, *state: Weights) -> tuple[Weights, ...]:
        weights, means, squares = map(turned, state) if layout == AROUND else state
        x = tf.cast(images[number], tf.float32) / 255
        gradients = _gradients(x, labels[number], weights, layout == THROUGHOUT)
        means = [m + (g - m) * (1 - FIRST_DECAY) for m, g in zip(means, gradients, strict=True)]
        squares = [s + (g * g - s) * (1 - SECOND_DECAY) for s, g in zip(squares, gradients, strict=True)]
        steps = tf.cast(number + 1, tf.float32)
        rate = RATE * tf.sqrt(1 - SECOND_DECAY**steps) / (1 - FIRST_DECAY**steps)
        weights = [
            w - rate * m / (tf.sqrt(s) + EPSILON)
            for w, m, s in zip(weights, means, squares, strict=True)
        ]
        state = weights, means, squares
        return tuple(map(turned, state)) if layout == AROUND else state

    @tf.function(jit_compile=True, autograph=False)
    def train(weights: Weights) -> Weights:
        none = [tf.zeros_like(weight) for weight in weights]
        begin = tuple(map(turned, (weights, none, none)))
        _, trained, *_ = tf.while_loop(
            lambda number, *_: number < STEPS,
            lambda number, *state: (number + 1, *step(number, *state)),
            (tf.constant(0), *begin),
        )
        return turned(trained)

    return train


def _gradients(x: tf.Tensor, labels: tf.Tensor, weights: Weights, transposed: bool) -> Weights:
    """Return the gradients of the mean cross-entropy. If transposed, that of the first kernel is."""
    kernel, bias, last_kernel, last_bias = weights
    hidden = tf.matmul(x, kernel, transpose_b=transposed) + bias
    active = tf.nn.relu(hidden)
    probabilities = tf.nn.softmax(tf.matmul(active, last_kernel) + last_bias)
    wrong = (probabilities - tf.one_hot(labels, CLASSES)) / BATCH
    back = tf.where(hidden > 0, tf.matmul(wrong, last_kernel, transpose_b=True), 0.0)
    one, other = (back, x) if transposed else (x, back)
    return [
        tf.matmul(one, other, transpose_a=True),
        tf.reduce_sum(back, 0),
        tf.matmul(active, wrong, transpose_a=True),
        tf.reduce_sum(wrong, 0),
    ]
