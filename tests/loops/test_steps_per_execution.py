"""The number of steps in an execution."""

import pytest

from kerasmlp.loops import responsive_steps


@pytest.mark.parametrize(
    "parameters, batch_size, example_bytes, steps_per_epoch, steps",
    [
        (79_510, 50, 784, 1200, 204),  # the handbook's: 1.2 ms a step on a slow machine
        (79_510, 50, 784, 80, 80),  # no more than the epoch has
        (10, 1, 1, 10_000, 8_333),  # 30 microseconds a step, whatever is in it
        (10, 50, 2**20, 1200, 1),  # a batch of 50 MiB
        (10**9, 1000, 784, 1200, 1),
    ],
)
def test_an_execution_is_short_and_small(parameters, batch_size, example_bytes, steps_per_epoch, steps):
    received = responsive_steps(parameters, batch_size, example_bytes, steps_per_epoch)
    assert received == pytest.approx(steps, rel=0.01)
