"""What is measured of a loop, and who takes turns: in this process, with messages that are noted."""

import time
import types
from contextlib import nullcontext

import pytest

import kinds
from kerasmlp.comparison import cost, timing
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import start_from
from kerasmlp.comparison.verdict import Cost
from kerasmlp.processes import RemoteError
from outcomes import row


class Notes:
    """A talk: notes what a loop sends, and how often it waits for its turn."""

    def __init__(self):
        self.sent, self.turns = [], 0

    def send(self, value):
        self.sent.append(value)

    def receive(self):
        self.turns += 1


@pytest.fixture
def start():
    with start_from(kinds.plain, kinds.data_of(kinds.plain), kinds.BATCH_SIZE, 5) as start:
        yield start


def without_hooks(model, train, validation, epochs, callbacks):
    model.fit(train.epoch(0), verbose=0, shuffle=False, epochs=epochs)


def too_short(model, train, validation, epochs, callbacks):
    model.fit(train.epoch(0), verbose=0, shuffle=False, epochs=epochs - 1, callbacks=callbacks)


@pytest.mark.parametrize("loop, by_epoch", [("graph", True), (without_hooks, False)])
def test_a_loop_is_timed_by_the_epoch_or_by_the_call(loop, by_epoch, start, monkeypatch, capsys):
    talk, repeated = Notes(), []
    repeat = timing.timeit.repeat
    monkeypatch.setattr(
        timing.timeit, "repeat", lambda *of, **how: repeated.append(how) or repeat(*of, **how)
    )
    begin = time.perf_counter()
    timing.time_row(talk, start, Row("row", loop, jit_compile=False), repeats=2)
    whole = time.perf_counter() - begin
    assert capsys.readouterr().out == ""
    assert repeated == [{"number": 1, "repeat": 4}]  # the evaluation; its first time traces
    ready, evaluated, *costs = talk.sent
    assert (ready, evaluated, talk.turns) == ("ready", "evaluated", 4)
    assert [len(each.seconds_per_epoch) for each in costs] == [0, 1, 2]
    assert {each.by_epoch for each in costs} == {by_epoch}
    last = costs[-1]
    assert last.steps_per_epoch == start.batches().steps_per_epoch
    assert min(last.seconds_per_epoch) > 0 and last.seconds_to_evaluate > 0 and last.peak_megabytes > 0
    assert (last.seconds_to_first_step is not None) == by_epoch
    assert not by_epoch or 0 < last.seconds_to_first_step < whole
    assert sum(last.seconds_per_epoch) + last.seconds_to_evaluate < whole


@pytest.mark.parametrize("strategy, syncs", [("none", 3), ("multiworker", 0)])
def test_the_clock_is_read_when_the_devices_are_done_but_with_several_workers(
    strategy, syncs, start, monkeypatch
):
    heard = []

    def quick(model, train, validation, epochs, callbacks):
        heard.append(("trains", epochs, validation))
        (timer,) = callbacks
        timer.set_model(model)
        for epoch in range(epochs):
            timer.on_epoch_begin(epoch)
            timer.on_train_batch_end(0)
            timer.on_train_batch_end(1)
            timer.on_epoch_end(epoch)

    monkeypatch.setattr(timing, "EVALUATIONS", 1)
    monkeypatch.setattr(timing, "running", lambda *given: heard.append(given) or nullcontext(quick))
    monkeypatch.setattr(timing.tf.test.experimental, "sync_devices", lambda: heard.append("sync"))
    row = Row("row", "fit", strategy=strategy)
    timing.time_row(talk := Notes(), start, row, repeats=1)
    # After the first step, and after each epoch.
    assert heard == [(row, start, 2), ("trains", 2, None), *["sync"] * syncs]
    assert talk.turns == 3 and len(talk.sent) == 4


def test_of_a_loop_without_hooks_calls_for_one_epoch_are_timed(start, monkeypatch):
    called = []

    def quick(model, train, validation, epochs, callbacks):
        called.append((epochs, validation, len(callbacks)))

    monkeypatch.setattr(timing, "EVALUATIONS", 1)
    monkeypatch.setattr(timing, "running", lambda *given: nullcontext(quick))
    timing.time_row(Notes(), start, Row("row", "fit"), repeats=2)
    assert called == [(3, None, 1), (1, None, 0), (1, None, 0)]


def test_a_loop_that_trains_other_epochs_is_not_measured(start):
    with pytest.raises(ValueError, match="expected the loop to train 3 epochs; it trained 2"):
        timing.time_row(Notes(), start, Row("row", too_short, jit_compile=False), repeats=2)


def measured(monkeypatch, answers, repeats, verdicts=("identical", "equal")):
    """Measure rows whose processes give these answers; return costs, failures, turns and ends."""
    rows = [Row(f"row {number}", "fit") for number in range(len(verdicts))]
    turns, killed, ended, said = [], [], [], []

    class Process:
        def __init__(self, function, start, row, count, launch):
            assert (function, start) == ("kerasmlp.comparison.timing:time_row", "start")
            assert (count, launch) == (repeats, "launch")
            self.name, self.answers = row.name, iter(answers[row.name])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def send(self, value):
            turns.append(self.name)

        def receive(self, seconds):
            assert seconds == 60
            answer = next(self.answers)
            if isinstance(answer, str) and answer.startswith("error"):
                raise RemoteError(answer)
            return answer

        def kill(self):
            killed.append(self.name)

    monkeypatch.setattr(cost, "Process", Process)
    outcomes = [row(each.name, verdict) for each, verdict in zip(rows, verdicts, strict=True)]
    with RowProgress(rows) as progress:
        progress.ended = lambda name, text="": ended.append((name, text))
        for what in ("phase", "starting", "done"):
            setattr(progress, what, lambda *told, what=what: said.append((what, *told)))
        found = cost.measure_costs(
            "start", rows, outcomes, repeats, 60, types.SimpleNamespace(launch="launch"), progress
        )
    timed = [each.name for each, verdict in zip(rows, verdicts, strict=True) if verdict != "failed"]
    assert said[: 1 + len(timed)] == [
        ("phase", "cost", repeats + 2),
        *(("starting", name) for name in timed),
    ]
    counts = [[count for what, of, *count in said[1:] if (what, of) == ("done", name)] for name in timed]
    assert counts == [[[turn] for turn in range(len(count))] for count in counts]
    assert len(max(counts)) > 1
    return found, turns, killed, ended


def costs(*seconds):
    """What a process answers after the warm-up and after each epoch."""
    return [Cost(list(seconds[:number]), 8, 0.5, 0.1, 100.0, True) for number in range(len(seconds) + 1)]


@pytest.mark.parametrize(
    "seconds, repeats, enough",
    [
        ((), 1, False),
        ((1.0,), 1, True),
        ((9.0, 9.0), 3, False),
        ((1.3, 1.3, 1.3), 4, False),
        ((1.4, 1.4, 1.4), 4, True),
        ((1.0, 1.0, 1.0, 0.9), 5, False),
        ((0.1, 0.1, 0.1, 0.1), 4, True),
    ],
)
def test_at_least_three_epochs_are_timed_and_no_more_after_four_seconds(seconds, repeats, enough):
    assert cost._is_enough(costs(*seconds)[-1], repeats) is enough


def test_rows_take_turns_until_enough_is_known(monkeypatch):
    """Four epochs are timed; of a loop that has taken more than 4 s, three."""
    quick, slow = costs(0.1, 0.2, 0.3, 0.4), costs(1.4, 1.4, 1.4, 1.4)
    answers = {"row 0": ["ready", "evaluated", *quick], "row 1": ["ready", "evaluated", *slow]}
    found, turns, killed, ended = measured(monkeypatch, answers, 4)
    assert [each.cost.seconds_per_epoch for each in found] == [[0.1, 0.2, 0.3, 0.4], [1.4, 1.4, 1.4]]
    assert turns == ["row 0", "row 1"] * 5 + ["row 0"]
    assert killed == ["row 1", "row 0"]
    assert ended == [("row 1", "1.4 s per epoch"), ("row 0", "0.25 s per epoch")]


def test_a_row_that_fails_is_not_measured_and_one_that_has_failed_not_begun(monkeypatch):
    answers = {"row 0": ["ready", "error: gone"], "row 1": ["ready", "evaluated", *costs(1.0)]}
    found, turns, killed, ended = measured(
        monkeypatch, answers, 1, verdicts=("identical", "equal", "failed")
    )
    assert [each.cost_failure for each in found] == ["error: gone", None, None]
    assert [each.cost is not None for each in found] == [False, True, False]
    assert turns == ["row 0", "row 1", "row 1", "row 1"]
    assert killed == ["row 0", "row 1"]
    assert ended == [("row 0", "not measured"), ("row 1", "1 s per epoch")]
