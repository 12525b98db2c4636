"""What callbacks hear of a training that starts within an epoch; see also test_hooks_in_any_order."""

import keras
import pytest

from helpers import cases, compiled
from kerasmlp import loops
from kerasmlp.data import Batches
from small_models import Recorder, dense


@pytest.mark.parametrize("loop", cases(loops.LOOPS, default=("fit", "graph")))
def test_a_run_that_goes_on_within_an_epoch_tells_its_first_step(loop, digits):
    """Of six steps an epoch, four an execution, it goes on with the third step of the second epoch."""
    recorder = Recorder()
    model = compiled(dense, steps_per_execution=4)
    loops.LOOPS[loop](model, Batches(*digits, 7, seed=5), None, 3, [recorder], initial_step=8)
    steps = [entry[:2] for entry in recorder.heard if entry[0].startswith("train_batch")]
    assert steps == [
        *(("train_batch_begin", 2), ("train_batch_end", 3)),
        *(("train_batch_begin", 4), ("train_batch_end", 7)),  # as Keras counts
        *(("train_batch_begin", 0), ("train_batch_end", 3)),
        *(("train_batch_begin", 4), ("train_batch_end", 7)),  # as Keras counts
    ]
    assert [entry[1] for entry in recorder.heard if entry[0] == "epoch_begin"] == [1, 2]
    assert int(model.optimizer.iterations) == 10
    assert "make_train_function" not in vars(model), "the model is left as it was found"


class Looks(keras.callbacks.Callback):
    """Notes whether there is a train function when the training begins."""

    def on_train_begin(self, logs=None):
        self.found = callable(self.model.train_function)


@pytest.mark.parametrize("loop", loops.LOOPS)
def test_there_is_a_train_function_when_a_training_begins_as_in_fit(loop, digits):
    looks = Looks()
    loops.LOOPS[loop](compiled(dense), Batches(*digits, 7), None, 0, [looks])
    assert looks.found


@pytest.mark.parametrize("loop", cases(loops.LOOPS, default=("fit", "eager")))
def test_a_stop_before_the_first_step_of_a_resumed_epoch_waits_for_it(loop, digits):
    """As in an epoch from its start, of which Keras' `fit` then takes one execution."""
    recorder = Recorder(stop_at=2)  # at the begin of the epoch
    model = compiled(dense)
    history = loops.LOOPS[loop](model, Batches(*digits, 7), None, 3, [recorder], initial_step=8)
    hooks = ["train_begin", "epoch_begin", "train_batch_begin", "train_batch_end", "epoch_end"]
    assert [entry[0] for entry in recorder.heard] == [*hooks, "train_end"]
    assert int(model.optimizer.iterations) == len(history["loss"]) == 1
