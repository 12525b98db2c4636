"""Every step of a loop that calls the hooks is checked."""

import keras
import pytest
import tensorflow as tf

import factories
import own_loops
from checking import check
from helpers import cases
from kerasmlp import loops
from kerasmlp.comparison.tables import notes
from kerasmlp.comparison.verdict import judge


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


def test_a_step_that_updates_no_metric_is_compared_by_what_it_trains(mnist5k):
    found = check(loops.traced(own_loops.no_metrics), factories.mlp, mnist5k)
    assert found.divergence is None
    assert not found.reports_metrics
    (note,) = notes([judge("it", found, None)])
    assert note == "it reports no metrics: only what it trains was compared"


def written(hooks, *, start=0, over_all_epochs=False):
    """A hand-written loop that calls some of the hooks, with its own numbers."""

    def loop(model, train, validation, epochs, callbacks):
        def call(hook, *arguments):
            for callback in callbacks:
                if hook in hooks:
                    getattr(callback, f"on_{hook}")(*arguments)

        step = tf.function(lambda x, y: loops.train_step(model, x, y))
        number, history = start, {}
        for epoch in range(epochs):
            model.reset_metrics()
            call("epoch_begin", epoch + start)
            number = number if over_all_epochs else start
            for x, y in train:
                call("train_batch_begin", number)
                step(x, y)
                call("train_batch_end", number)
                number += 1
            logs = {name: float(value) for name, value in model.get_metrics_result().items()}
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
            call("epoch_end", epoch + start, logs)
        return history

    return loop


BATCHES = ("train_batch_begin", "train_batch_end")
EPOCHS = ("epoch_begin", "epoch_end")


WRITTEN = {
    "all": written([*EPOCHS, *BATCHES]),
    "from 1 over all epochs": written([*EPOCHS, *BATCHES], start=1, over_all_epochs=True),
    "train_batch_end only": written(["train_batch_end"]),
    "epochs only": written(EPOCHS),
    "none": written([]),
}


@pytest.mark.parametrize("hooks", cases(WRITTEN, default=("from 1 over all epochs",)))
def test_hooks_are_optional_in_any_numbering(hooks, mnist5k):
    found = check(WRITTEN[hooks], factories.mlp, mnist5k, dropout=False)
    assert found.divergence is None
    assert found.reports_metrics
    assert found.steps >= 8
