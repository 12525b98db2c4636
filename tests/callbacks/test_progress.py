import pytest

from helpers import cases, compiled, run
from kerasmlp.callbacks.progress import ProgressLine
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.loops.builtin import LOOPS
from small_models import dense


@pytest.mark.parametrize("loop", cases(("fit", "graph"), default=("fit",)))
def test_the_first_line_has_the_times_to_trace_and_to_compile(loop, digits, capsys):
    stopwatch = Stopwatch(7)
    model = compiled(dense, jit_compile=True, steps_per_execution=4)
    callbacks = [stopwatch, ProgressLine(stopwatch, lambda: ["a model"])]
    run(loop, model, digits, validation=False, callbacks=callbacks)
    to_trace, to_compile = stopwatch.seconds_to_trace, stopwatch.seconds_to_compile
    assert 0 < to_trace + to_compile < stopwatch.seconds_to_first_step
    about, line, *_ = capsys.readouterr().err.splitlines()
    assert about == "a model"
    assert line == f"traced in {to_trace:.2f} s, compiled in {to_compile:.2f} s"


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


def test_on_a_terminal_the_cursor_is_hidden_and_shown_again(digits, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
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
