"""Many steps in a graph."""

import pytest
import tensorflow as tf

from kerasmlp.loops.repeat import repeat


@pytest.mark.parametrize("steps, number, before", [(0, 0, []), (1, 0, [0]), (3, 2, [0, 1, 2])])
def test_the_logs_are_those_of_the_last_step_and_may_have_another_size_in_each(steps, number, before):
    done = tf.Variable(0)

    def step(number):
        done.assign_add(1)
        return {"number": number, "before": tf.range(done)}

    logs = tf.function(lambda steps: repeat(step, steps), autograph=False)(tf.constant(steps))
    assert int(done) == steps
    assert int(logs["number"]) == number
    assert logs["before"].numpy().tolist() == before
