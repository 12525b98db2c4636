"""The random numbers that a step draws, such as those of `Dropout`, drawn outside of it.

From the same seed XLA draws other numbers than the kernels of TensorFlow. So two programs of a step that
draw for themselves differ in more than rounding. Here the numbers are drawn once, by TensorFlow's
kernels, and then replayed in both programs.

Keras' layers draw by functions of TensorFlow that have no state, with seeds of Keras; these are replaced
while a step is traced.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import tensorflow as tf

FUNCTIONS = (
    *("stateless_uniform", "stateless_normal", "stateless_truncated_normal", "stateless_categorical"),
    *("stateless_gamma", "stateless_binomial"),
)
"""What Keras draws by, in `tf.random`."""

Draw = Callable[..., Any]


@contextlib.contextmanager
def recorded() -> Iterator[list[Any]]:
    """A context that records in a list what is drawn within it."""
    draws: list[Any] = []

    def recording(draw: Draw) -> Draw:
        def drawn(*arguments: Any, **named: Any) -> Any:
            draws.append(draw(*arguments, **named))
            return draws[-1]

        return drawn

    with _replaced(recording):
        yield draws


@contextlib.contextmanager
def replayed(draws: Sequence[Any]) -> Iterator[None]:
    """A context in which those `draws` are drawn, one after the other."""
    left = iter(draws)
    with _replaced(lambda draw: lambda *arguments, **named: next(left)):
        yield


@contextlib.contextmanager
def _replaced(replace: Callable[[Draw], Draw]) -> Iterator[None]:
    """A context in which `replace(draw)` takes the place of each function `draw`."""
    dropout = tf.nn.experimental.stateless_dropout

    def mask(x: Any, rate: Any, **named: Any) -> Any:
        return dropout(tf.ones_like(x), rate, **named)  # 0, or 1 / (1 - rate)

    with contextlib.ExitStack() as stack:
        for name in FUNCTIONS:
            of_name = replace(getattr(tf.random, name))
            stack.enter_context(mock.patch.object(tf.random, name, of_name))
        drawn_mask = replace(mask)
        # What `Dropout` returns depends on its input: so the mask is the draw.
        stack.enter_context(
            mock.patch.object(
                tf.nn.experimental,
                "stateless_dropout",
                lambda x, rate, **named: x * drawn_mask(x, rate, **named),
            )
        )
        yield
