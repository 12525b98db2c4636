import math

import keras
import numpy as np
import pytest
from keras import layers

from helpers import cases, compiled, run
from kerasmlp.callbacks import stopwatch
from kerasmlp.callbacks.losses import BatchLosses, PrintBatchLoss, StopAtNonFinite
from kerasmlp.callbacks.progress import ProgressLine
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.loops.builtin import LOOPS


def dense():
    return [layers.Flatten(), layers.Dense(3), layers.Softmax()]


class Collector(keras.callbacks.Callback):
    """Keeps what `BatchLosses` knows, and the running mean that Keras reports beside it."""

    def __init__(self, batch_losses):
        super().__init__()
        self.batch_losses = batch_losses
        self.losses, self.means = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.losses += [(step, loss) for step, loss, _ in self.batch_losses.latest]
        self.means.append(logs["loss"])


WAYS = [
    *(("fit", 1, False), ("fit", 4, False), ("fit", 4, True)),
    *(("graph", 1, False), ("graph", 4, True), ("eager", 1, False)),
]


@pytest.mark.parametrize("way", cases(WAYS, default=WAYS[1:4]), ids=str)
def test_batch_losses_are_known_whatever_the_loop(way, digits):
    loop, steps_per_execution, jit_compile = way
    model = compiled(dense, steps_per_execution=steps_per_execution, jit_compile=jit_compile)
    collector = Collector(BatchLosses())
    history = run(loop, model, digits, callbacks=[collector.batch_losses, collector])
    steps, losses = zip(*collector.losses, strict=True)
    assert steps == tuple(range(1, 13))
    sizes = [7, 7, 7, 7, 7, 5]
    for epoch in range(2):
        mean = np.average(losses[6 * epoch : 6 * epoch + 6], weights=sizes)
        assert mean == pytest.approx(history["loss"][epoch], rel=1e-6)
    assert losses[0] == pytest.approx(math.log(3), abs=0.7)
    assert len(set(losses)) == 12


@pytest.mark.parametrize("loop", LOOPS)
def test_batch_losses_hear_a_second_training_too(loop, digits):
    model = compiled(dense)
    for first in (1, 7):
        collector = Collector(BatchLosses())
        run(loop, model, digits, epochs=1, callbacks=[collector.batch_losses, collector])
        assert [step for step, _ in collector.losses] == list(range(first, first + 6))


@pytest.mark.parametrize("loop", LOOPS)
def test_training_stops_at_the_first_loss_that_is_not_finite(loop, digits):
    model = compiled(dense, optimizer=lambda: keras.optimizers.SGD(math.inf))
    losses = BatchLosses()
    with pytest.raises(FloatingPointError, match="the loss is nan at step 2; training stopped"):
        run(loop, model, digits, callbacks=[losses, StopAtNonFinite(losses)])
    assert int(model.optimizer.iterations) == 2


def test_the_handbooks_line_for_each_batch(digits, capsys):
    losses, collector = BatchLosses(), None
    collector = Collector(losses)
    run(
        "fit",
        compiled(dense, steps_per_execution=4),
        digits,
        callbacks=[losses, collector, PrintBatchLoss(losses)],
    )
    expected = [f"batch {step - 1}: loss {loss:f}" for step, loss in collector.losses]
    assert capsys.readouterr().out.splitlines() == expected
    assert expected[0].startswith("batch 0: loss ")


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: Clock.now)
    return Clock


class Model:
    train_function = None


def drive(stopwatch, clock, epochs, *, steps=10, group=2, function=None):
    """Ten steps of 1 second an epoch; the first execution takes 30 seconds, validation 500."""
    stopwatch.set_params({"steps": steps, "epochs": epochs})
    stopwatch.set_model(Model())
    stopwatch.model.train_function = function
    stopwatch.on_train_begin()
    clock.now += 3
    for epoch in range(epochs):
        stopwatch.on_epoch_begin(epoch)
        for first in range(0, steps, group):
            stopwatch.on_train_batch_begin(first)
            clock.now += 30 if epoch == first == 0 else min(group, steps - first)
            stopwatch.on_train_batch_end(first + group - 1)
        clock.now += 500
        stopwatch.on_epoch_end(epoch)


@pytest.mark.parametrize("group", [1, 2, 4])
def test_the_stopwatch_leaves_out_the_first_execution_and_the_validation(clock, group):
    stopwatch = Stopwatch(examples_per_step=50)
    drive(stopwatch, clock, 3, group=group)
    assert stopwatch.seconds_to_first_step == 33
    assert stopwatch.seconds_per_step == [1, 1, 1]
    assert stopwatch.seconds_per_epoch == 10
    assert stopwatch.examples_per_second == 50


def test_an_epoch_of_one_execution_is_timed_with_it(clock):
    stopwatch = Stopwatch(examples_per_step=50)
    drive(stopwatch, clock, 1, group=20)
    assert stopwatch.seconds_per_epoch == 30


def test_what_was_compiled_before_leaves_the_first_execution_in_its_epoch(clock):
    class Program:
        seconds_to_trace = 2.0
        seconds_to_compile = 7.0

    stopwatch = Stopwatch(examples_per_step=50)
    drive(stopwatch, clock, 1, function=Program)
    assert (stopwatch.seconds_to_trace, stopwatch.seconds_to_compile) == (2, 7)
    assert stopwatch.seconds_per_epoch == 30 + 8


@pytest.mark.parametrize("loop", ["fit", "graph"])
def test_tracing_and_compiling_are_told_apart(loop, digits, capsys):
    stopwatch = Stopwatch(7)
    model = compiled(dense, jit_compile=True, steps_per_execution=4)
    run(loop, model, digits, callbacks=[stopwatch, ProgressLine(stopwatch)])
    traced, compiled_in = stopwatch.seconds_to_trace, stopwatch.seconds_to_compile
    assert 0 < traced + compiled_in < stopwatch.seconds_to_first_step
    line = capsys.readouterr().err.splitlines()[0]
    assert line == f"traced in {traced:.2f} s, compiled in {compiled_in:.2f} s"


@pytest.mark.parametrize("loop", LOOPS)
def test_progress_elsewhere_than_on_a_terminal_is_a_plain_line_an_epoch(loop, digits, capsys):
    stopwatch = Stopwatch(7)
    history = run(loop, compiled(dense), digits, callbacks=[stopwatch, ProgressLine(stopwatch)])
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines):
        assert line.isascii()
        assert line.startswith(f"epoch {epoch + 1}/2  accuracy {history['accuracy'][epoch]:.4f}  loss ")
        assert line.endswith(f"  {stopwatch.seconds_per_step[epoch] * 6:.2f} s")


def test_progress_on_a_terminal_is_live_and_leaves_the_cursor(digits, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stopwatch = Stopwatch(7)
    run("fit", compiled(dense), digits, callbacks=[stopwatch, ProgressLine(stopwatch)])
    error = capsys.readouterr().err
    assert "epoch 1/2  accuracy " in error
    assert "\x1b[?25l" in error, "the cursor is hidden"
    assert error.rindex("\x1b[?25h") > error.rindex("\x1b[?25l"), "and shown again"
