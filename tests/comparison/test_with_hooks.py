"""Every step of a loop that calls the hooks is checked."""

import keras
import pytest

import factories
import faults
from checking import EPOCH, check
from kerasmlp import loops


def test_a_mistake_in_a_later_step_is_found_in_that_step(mnist5k):
    class Late(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 4:
                self.model.optimizer.learning_rate = 0.002

    def loop(model, train, validation, epochs, callbacks):
        return loops.LOOPS["graph"](model, train, validation, epochs, [*callbacks, Late()])

    found = check(loop, factories.mlp, mnist5k)
    assert found.divergence.step == 5
    assert "another learning rate: 0.002, not 0.001" in found.divergence.cause


def test_a_step_that_updates_no_metric_is_an_error(mnist5k):
    with pytest.raises(ValueError, match="metric has not yet been built"):
        check(loops.traced(faults.no_metrics), factories.mlp, mnist5k)


def test_too_few_epochs_are_noticed(mnist5k):
    found = check(faults.one_epoch, factories.mlp, mnist5k)
    assert str(found.divergence).startswith(f"step {EPOCH + 1}: the loop ended after 7 of 14 steps")
