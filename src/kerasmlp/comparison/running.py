"""The loop of a row, ready to be called in the process of the row."""

import contextlib
import inspect
import os
from collections.abc import Iterator
from typing import Any

from kerasmlp.comparison.row import BUILT_IN, Row
from kerasmlp.comparison.start import Start
from kerasmlp.distribute import distribution, free_addresses, tf_config
from kerasmlp.loops import Loop, traced
from kerasmlp.processes import Process, Talk
from kerasmlp.runs import import_by_name


@contextlib.contextmanager
def running(row: Row, start: Start, epochs: int) -> Iterator[Loop]:
    """A context with the loop of `row`. With `multiworker`, the other workers run in it too.

    Enter it before TensorFlow is used in this process. With `multiworker`, call the loop only once, and
    for `epochs`: the other workers train from `start` for as long.
    """
    loop = row.loop
    if not isinstance(loop, str) or loop not in BUILT_IN:
        loop = import_by_name(loop) if isinstance(loop, str) else loop
        _check_signature(row, loop)
        yield traced(loop) if row.is_step else loop
    elif row.strategy == "multiworker":
        addresses = free_addresses(row.replicas)
        with contextlib.ExitStack() as workers:
            for worker in range(1, row.replicas):
                args = (start, row, epochs, addresses, worker)
                workers.enter_context(Process("kerasmlp.comparison.running:train_as_worker", *args))
            os.environ["TF_CONFIG"] = tf_config(addresses, 0)
            yield distribution("multiworker").loop(loop)
    else:
        yield distribution(row.strategy, row.replicas).loop(loop)


def _check_signature(row: Row, function: Any) -> None:
    """Raise a `ValueError` that says what to write, if a loop or a step takes other arguments."""
    expected = "model, x, y" if row.is_step else "model, train, validation, epochs, callbacks"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it is not callable, or written in C
        raise ValueError(f"{row.name}: expected a function of ({expected})") from None
    try:
        signature.bind(*expected.split(", "))
    except TypeError:
        what = "train step" if row.is_step else "loop"
        raise ValueError(
            f"{row.name}: expected a {what} that takes ({expected}); received {signature}."
            " It must train the model that it is given, not one that it closes over. Write:"
            f" def {getattr(function, '__name__', what)}({expected}): ..."
        ) from None


def train_as_worker(
    talk: Talk, start: Start, row: Row, epochs: int, addresses: list[str], worker: int
) -> None:
    """Train as worker number `worker`. The chief, worker 0, is the process of the row."""
    os.environ["TF_CONFIG"] = tf_config(addresses, worker)
    workers = distribution("multiworker")
    workers.loop(str(row.loop))(row.compile(start.new_model()), start.batches(), None, epochs, [])
