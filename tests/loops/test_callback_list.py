"""Callbacks hear the same from every loop."""

import pytest

from helpers import assert_same, cases, compiled, run, state
from kerasmlp import loops
from kerasmlp.data import Batches
from small_models import Recorder, dense


@pytest.mark.parametrize("steps_per_execution", cases((1, 4), default=(1,)))
def test_callbacks_hear_the_same_from_every_loop(steps_per_execution, digits):
    heard = {}
    for loop in ("fit", "graph", *(["eager"] if steps_per_execution == 1 else [])):
        recorder = Recorder()
        model = compiled(dense, steps_per_execution=steps_per_execution)
        run(loop, model, digits, callbacks=[recorder])
        heard[loop] = recorder.heard
    hooks = [entry[0] for entry in heard["fit"]]
    assert hooks.count("train_batch_end") == 2 * -(-6 // steps_per_execution)
    assert hooks.count("epoch_end") == hooks.count("test_end") == 2
    for loop in heard:
        assert heard[loop] == heard["fit"], loop


def test_a_run_that_goes_on_within_an_epoch_tells_its_first_step(digits):
    """Of six steps an epoch, four an execution, it goes on with the third step of the second epoch."""
    recorder = Recorder()
    model = compiled(dense, steps_per_execution=4)
    loops.LOOPS["graph"](model, Batches(*digits, 7, seed=5), None, 3, [recorder], initial_step=8)
    steps = [entry[:2] for entry in recorder.heard if entry[0].startswith("train_batch")]
    assert steps == [
        *(("train_batch_begin", 2), ("train_batch_end", 3)),
        *(("train_batch_begin", 4), ("train_batch_end", 7)),  # as Keras counts
        *(("train_batch_begin", 0), ("train_batch_end", 3)),
        *(("train_batch_begin", 4), ("train_batch_end", 7)),  # as Keras counts
    ]
    assert [entry[1] for entry in recorder.heard if entry[0] == "epoch_begin"] == [1, 2]
    assert int(model.optimizer.iterations) == 10


@pytest.mark.parametrize("stop_at", cases((1, 3, 9, 20), default=(9,)))
def test_stop_training_is_honoured_alike(stop_at, digits):
    """Whenever a callback asks for it: in the middle of an epoch, of a validation, before the first."""
    results = []
    for loop in loops.LOOPS:
        recorder = Recorder(stop_at)
        model = compiled(dense)
        history = run(loop, model, digits, epochs=4, callbacks=[recorder])
        results.append((history, recorder.heard, state(model)))
    for history, heard, final in results:
        assert heard == results[0][1]
        assert history == results[0][0]
        assert_same(final, results[0][2])
    assert int(model.optimizer.iterations) < 24
