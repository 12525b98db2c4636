import math

import keras
import numpy as np
import pytest

from helpers import cases, compiled, run
from kerasmlp.callbacks.losses import BatchLosses, PrintBatchLoss, StepLoss, StopAtNonFinite
from kerasmlp.loops.builtin import LOOPS
from small_models import dense


class Collector(keras.callbacks.Callback):
    """Collects what `BatchLosses` records."""

    def __init__(self, batch_losses):
        super().__init__()
        self.batch_losses = batch_losses
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses += [(step, loss) for step, loss, _ in self.batch_losses.latest]


VARIANTS = [
    *(("fit", 1, False), ("fit", 4, False), ("fit", 4, True)),
    *(("graph", 1, False), ("graph", 4, True), ("eager", 1, False)),
]


@pytest.mark.parametrize("variant", cases(VARIANTS, default=VARIANTS[1:4:2]), ids=str)
def test_batch_losses_are_recorded_in_every_loop(variant, digits):
    loop, steps_per_execution, jit_compile = variant
    model = compiled(dense, steps_per_execution=steps_per_execution, jit_compile=jit_compile)
    collector = Collector(BatchLosses())
    callbacks = [collector.batch_losses, collector]
    history = run(loop, model, digits, validation=not jit_compile, callbacks=callbacks)
    steps, losses = zip(*collector.losses, strict=True)
    assert steps == tuple(range(1, 13))
    sizes = [7, 7, 7, 7, 7, 5]
    for epoch in range(2):
        mean = np.average(losses[6 * epoch : 6 * epoch + 6], weights=sizes)
        assert mean == pytest.approx(history["loss"][epoch], rel=1e-6)
    assert losses[0] == pytest.approx(math.log(3), abs=0.7)
    assert len(set(losses)) == 12


def test_the_running_loss_is_the_mean_of_the_epoch_so_far(monkeypatch):
    losses, new = BatchLosses(), iter(([1.0, 3.0], [5.0], [2.0, 4.0]))
    losses.set_params({"steps": 3})
    monkeypatch.setattr(losses, "_new", lambda: next(new))
    found = []
    for epoch, first in ((0, 0), (0, 2), (1, 0)):
        losses.on_epoch_begin(epoch)
        losses.on_train_batch_begin(first)
        losses.on_train_batch_end(first + 1)
        found += losses.latest
    assert found == [(1, 1.0, 1.0), (2, 3.0, 2.0), (3, 5.0, 3.0), (4, 2.0, 2.0), (5, 4.0, 3.0)]


@pytest.mark.parametrize("loop", cases(LOOPS, default=("eager",)))
def test_steps_are_those_of_the_training_whatever_the_optimizer_counts(loop, digits):
    model = compiled(dense, optimizer=lambda: keras.optimizers.SGD(gradient_accumulation_steps=3))
    for _ in range(2):
        collector = Collector(BatchLosses())
        run(loop, model, digits, epochs=1, callbacks=[collector.batch_losses, collector])
        assert [step for step, _ in collector.losses] == list(range(1, 7))


@pytest.mark.parametrize("times", [0, 2])
def test_a_train_step_that_computes_no_loss_or_several_has_none_recorded(times, digits):
    class Own(keras.Sequential):
        def train_step(self, batch):
            x, y = batch
            for _ in range(times):
                self.compute_loss(x, y, self(x))
            return {"nothing": 0.0}

    model = Own([keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    collector = Collector(BatchLosses())
    callbacks = [collector.batch_losses, collector]
    run("graph", model, digits, validation=False, callbacks=callbacks)
    assert collector.losses == []


def test_a_loss_that_a_train_step_computes_without_saying_so_is_that_of_the_training(digits):
    class Own(keras.Sequential):
        def train_step(self, batch):
            x, y = batch
            return {"of_the_batch": self.compute_loss(x, y, self(x))}

    model = Own([keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    collector = Collector(BatchLosses())
    callbacks = [collector.batch_losses, collector]
    history = run("graph", model, digits, validation=False, callbacks=callbacks)
    assert [step for step, _ in collector.losses] == list(range(1, 13))
    last = [loss for _, loss in collector.losses][5::6]
    assert last == pytest.approx(history["of_the_batch"], rel=1e-6)


@pytest.mark.parametrize("loop", cases(LOOPS, default=("eager",)))
def test_a_validation_of_a_loss_without_training_is_not_recorded(loop, digits):
    class Own(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return super().compute_loss(x, y, y_pred, sample_weight)

    model = Own([keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    collector = Collector(BatchLosses())
    run(loop, model, digits, callbacks=[collector.batch_losses, collector])
    assert [step for step, _ in collector.losses] == list(range(1, 13))
    assert not model._compute_loss_has_training_arg


@pytest.mark.parametrize("loss", [math.inf, -math.inf, math.nan])
def test_a_loss_that_is_infinite_or_no_number_stops_and_a_large_one_does_not(loss):
    batch_losses = BatchLosses()
    stop = StopAtNonFinite(batch_losses)
    batch_losses.latest = [StepLoss(1, 3e38, 3e38), StepLoss(2, 0.0, 0.0)]
    stop.on_train_batch_end(1)
    batch_losses.latest = [StepLoss(3, 1.0, 1.0), StepLoss(4, loss, loss)]
    with pytest.raises(FloatingPointError, match=f"the loss is {loss} at step 4; training stopped"):
        stop.on_train_batch_end(3)


@pytest.mark.parametrize("loop", cases(LOOPS, default=("fit", "eager")))
def test_training_stops_at_the_first_loss_that_is_not_finite(loop, digits):
    model = compiled(dense, optimizer=lambda: keras.optimizers.SGD(math.inf))
    batch_losses = BatchLosses()
    with pytest.raises(FloatingPointError, match="the loss is nan at step 2; training stopped"):
        run(loop, model, digits, callbacks=[batch_losses, StopAtNonFinite(batch_losses)])
    assert int(model.optimizer.iterations) == 2


def test_each_batch_prints_the_line_of_the_handbook(digits, capsys):
    batch_losses = BatchLosses()
    collector = Collector(batch_losses)
    callbacks = [batch_losses, collector, PrintBatchLoss(batch_losses)]
    model = compiled(dense, steps_per_execution=4)
    run("fit", model, digits, validation=False, callbacks=callbacks)
    expected = [f"batch {step - 1}: loss {loss:f}" for step, loss in collector.losses]
    assert capsys.readouterr().out.splitlines() == expected
    assert expected[0].startswith("batch 0: loss ")
