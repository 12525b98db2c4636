import pytest

from helpers import cases, compiled, run
from kerasmlp.callbacks.progress import ProgressLine
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.loops.builtin import LOOPS
from small_models import dense


@pytest.mark.parametrize("loop", cases(("fit", "graph"), default=("fit",)))
def test_the_first_line_has_the_times_to_trace_and_to_compile(loop, digits, capsys):
    stopwatch = Stopwatch(10)
    model = compiled(dense, jit_compile=True, steps_per_execution=4)
    callbacks = [stopwatch, ProgressLine(stopwatch, lambda: ["a model"])]
    run(loop, model, digits, batch_size=10, validation=False, callbacks=callbacks)
    to_trace, to_compile = stopwatch.seconds_to_trace, stopwatch.seconds_to_compile
    assert 0 < to_trace + to_compile < stopwatch.seconds_to_first_step
    about, line, *epochs = capsys.readouterr().err.splitlines()
    assert about == "a model"
    assert line == f"traced in {to_trace:.2f} s, compiled in {to_compile:.2f} s"
    assert [epoch[:7] for epoch in epochs] == ["epoch 1", "epoch 2"]


@pytest.mark.parametrize("times", [(None, None), (1.0, None), (None, 1.0)])
def test_without_both_times_the_line_tells_none(times, begun, capsys):
    line = begun()
    line._tells_of_tracing = True
    line._stopwatch.seconds_to_trace, line._stopwatch.seconds_to_compile = times
    line.on_train_batch_end(3)
    assert "traced" not in capsys.readouterr().err


@pytest.mark.parametrize("loop", LOOPS)
def test_without_a_terminal_each_epoch_is_a_plain_line(loop, digits, capsys):
    stopwatch = Stopwatch(7)
    model = compiled(dense)
    history = run(
        loop, model, digits, callbacks=[stopwatch, ProgressLine(stopwatch, lambda: ["a model"])]
    )
    output = capsys.readouterr()
    assert output.out == ""
    about, *lines = output.err.splitlines()
    assert about == "a model"
    assert len(lines) == 2
    for epoch, line in enumerate(lines):
        assert line.isascii()
        assert line.startswith(f"epoch {epoch + 1}/2  accuracy {history['accuracy'][epoch]:.4f}  loss ")
        assert line.endswith(f"  {stopwatch.seconds_per_step[epoch] * 6:.2f} s")


def test_on_a_terminal_the_cursor_is_hidden_and_shown_again(digits, terminal, capsys):
    stopwatch = Stopwatch(7)
    run(
        "fit",
        compiled(dense),
        digits,
        callbacks=[stopwatch, ProgressLine(stopwatch, lambda: ["a model"])],
    )
    error = capsys.readouterr().err
    assert "epoch 1/2  accuracy " in error
    assert "0:00:00 left" in error
    assert "\x1b[?25l" in error, "the cursor is hidden"
    assert error.rindex("\x1b[?25h") > error.rindex("\x1b[?25l"), "and shown again"


@pytest.fixture
def begun():
    """Returns a line that has begun the fourth of 5 epochs of 10 steps; a step takes 2 s."""

    def begun():
        stopwatch = Stopwatch(7)
        stopwatch.seconds_per_step.append(2.0)
        line = ProgressLine(stopwatch, lambda: [])
        line.set_params({"steps": 10, "epochs": 5})
        line.on_train_begin()
        line.on_epoch_begin(3)
        return line

    return begun


def test_the_bar_has_the_steps_and_the_time_that_is_left(terminal, begun, capsys):
    line = begun()
    line.on_train_batch_end(3, {"loss": 0.5})
    (task,) = line._bar.tasks
    assert (task.description, task.completed, task.total) == ("epoch 4/5", 4, 10)
    assert task.fields == {"metrics": "loss 0.5000", "left": "  0:00:40 left"}
    line.on_train_batch_end(11)  # a last execution that is shorter counts in full
    assert task.completed == 10
    line.on_train_end()  # in the middle of an epoch, as when a run is interrupted
    shown, erased, _ = capsys.readouterr().err.rpartition("\x1b[2K")
    assert "10/10" in shown, "and then nothing of it"
    assert erased


def test_the_bar_of_an_epoch_goes_when_it_ends(terminal, begun):
    line = begun()
    line.on_epoch_end(3, {"loss": 0.5})
    assert line._bar.tasks == []
    line.on_train_end()


def test_in_a_notebook_a_line_is_drawn_again_and_has_an_end(begun, capsys):
    line = begun()
    line._in_notebook = True
    line.on_train_batch_end(3, {"loss": 0.5})
    line.on_train_batch_end(4, {"loss": 0.4})  # too soon to be shown
    line.on_epoch_end(3, {"loss": 0.3})
    live, ended = capsys.readouterr().out.split("\r")[1:]
    assert live == "epoch 4/5  4/10  loss 0.5000  0:00:40 left"
    assert ended == "epoch 4/5  loss 0.3000  20.00 s".ljust(len(live)) + "\n"
