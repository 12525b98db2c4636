"""The verdicts of the rows, from what their processes send."""

import threading
import types

import numpy as np
import pytest

import outcomes
from kerasmlp.comparison import agreement
from kerasmlp.comparison.progress import RowProgress
from kerasmlp.comparison.row import Row
from kerasmlp.comparison.start import Start
from kerasmlp.data import Parts
from kerasmlp.processes.process import RemoteError

ROWS = [Row("fit", "fit"), Row("mine", "nowhere:mine")]
DATA = Parts((np.zeros(4), np.zeros(4)))
START = Start("nowhere:model", DATA, DATA, 2, 0)
TRAJECTORY = outcomes.trajectory()
FORKS = types.SimpleNamespace(launch=None)


def check_with(monkeypatch, process):
    monkeypatch.setattr(agreement, "Process", process)
    monkeypatch.setattr(agreement.os, "cpu_count", lambda: 2)
    with RowProgress(ROWS) as progress:
        return agreement.check_agreement(START, ROWS, 1, 60, FORKS, progress)


class FakeProcess:
    """A process that sends the initial state, then a trajectory."""

    def __init__(self, function, start, row, first, epochs, *, launch):
        self.row = row
        self.messages = iter([[np.zeros(1)], TRAJECTORY])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def receive(self, seconds):
        return next(self.messages)

    def send(self, value):
        pass


def test_another_row_may_fail_before_the_first_row_has_a_model(monkeypatch):
    failed = threading.Event()

    class Process(FakeProcess):
        def receive(self, seconds):
            if self.row is not ROWS[0]:
                raise RemoteError("no such module")
            failed.wait(60)
            return super().receive(seconds)

        def __exit__(self, *_):
            if self.row is not ROWS[0]:
                # The error is handled after this call.
                threading.Timer(0.2, failed.set).start()

    outcomes = check_with(monkeypatch, Process)
    assert [outcome.verdict for outcome in outcomes] == ["identical", "failed"]
    assert outcomes[1].reason == "no such module"


def test_a_first_row_without_a_model_is_an_error(monkeypatch):
    class Process(FakeProcess):
        def receive(self, seconds):
            if self.row is ROWS[0]:
                raise RemoteError("no model")
            return super().receive(seconds)

    with pytest.raises(ValueError, match="no model"):
        check_with(monkeypatch, Process)


class Progress:
    """Notes what is said of the rows."""

    def __init__(self):
        self.said = []

    def phase(self, *said):
        self.said.append(("phase", *said))

    def starting(self, *said):
        self.said.append(("starting", *said))

    def done(self, *said):
        self.said.append(("done", *said))

    def stopped(self, *said):
        self.said.append(("stopped", *said))

    def ended(self, *said):
        self.said.append(("ended", *said))

    def of(self, row):
        return [said for said in self.said if said[1] == row]


def test_what_is_sent_and_said_of_each_row(monkeypatch):
    """The row of the eager loop runs before the others, but for the first."""
    made, sent, limits = [], [], []

    class Process(FakeProcess):
        def __init__(self, function, start, row, first, epochs, *, launch):
            super().__init__(function, start, row, first, epochs, launch=launch)
            made.append((function, start, row, first, epochs, launch))
            self.messages = iter([[np.full(1, len(made))], 2, 4, TRAJECTORY])

        def receive(self, seconds):
            limits.append(seconds)
            message = next(self.messages)
            if self.row.name == "broken" and message == 4:
                raise RemoteError("it broke")
            return message

        def send(self, value):
            sent.append(value)

    monkeypatch.setattr(agreement, "Process", Process)
    monkeypatch.setattr(agreement.os, "cpu_count", lambda: 1)
    rows = [Row(name, name) for name in ("fit", "graph", "broken", "eager")]
    forks, progress = types.SimpleNamespace(launch="launch"), Progress()
    found = agreement.check_agreement(START, rows, 3, 7.5, forks, progress)
    assert [outcome.name for outcome in found] == [row.name for row in rows]
    assert [outcome.verdict for outcome in found] == ["identical", "identical", "failed", "identical"]
    assert [row.name for _, _, row, *_ in made] == ["fit", "eager", "graph", "broken"]
    function = "kerasmlp.comparison.trajectory:check_row"
    assert {(each[0], *each[3:]) for each in made} == {(function, rows[0], 3, "launch")}
    assert all(start is START for _, start, *_ in made)
    assert [value[0] for value in sent] == [1, 1, 1, 1]  # all start where the first one does
    assert set(limits) == {7.5}
    assert progress.said[0] == ("phase", "agreement", 6)
    steps = [("starting", "fit"), *(("done", "fit", units) for units in (0, 2, 4))]
    assert progress.of("fit") == [*steps, ("stopped", "fit", "trained"), ("ended", "fit", "identical")]
    assert progress.of("broken")[-3:] == [
        ("done", "broken", 2),
        ("stopped", "broken", "failed"),
        ("ended", "broken", "failed"),
    ]


def test_a_comparison_that_is_interrupted_ends_its_processes_at_once_and_begins_no_other(monkeypatch):
    works, killed = threading.Event(), threading.Event()
    begun, waits = [], []

    class Process(FakeProcess):
        def __init__(self, *given, launch):
            super().__init__(*given, launch=launch)
            begun.append(self.row.name)

        def receive(self, seconds):
            message = super().receive(seconds)
            if message is TRAJECTORY and self.row is ROWS[1]:
                works.set()
                waits.append(killed.wait(10))
                raise RemoteError("killed")
            return message

        def kill(self):
            if self.row is ROWS[1]:
                killed.set()

    class Interrupted(Progress):
        def ended(self, row, verdict):
            works.wait(60)
            raise KeyboardInterrupt

    monkeypatch.setattr(agreement, "Process", Process)
    monkeypatch.setattr(agreement.os, "cpu_count", lambda: 1)
    rows = [*ROWS, Row("later", "nowhere:later")]
    with pytest.raises(KeyboardInterrupt):
        agreement.check_agreement(START, rows, 1, 60, FORKS, Interrupted())
    assert waits == [True]
    assert begun == ["fit", "mine"]


def test_a_first_row_that_fails_later_is_no_error(monkeypatch):
    class Process(FakeProcess):
        def receive(self, seconds):
            message = super().receive(seconds)
            if self.row is ROWS[0] and message is TRAJECTORY:
                raise RemoteError("too late")
            return message

    first, other = check_with(monkeypatch, Process)
    assert (first.verdict, first.reason) == ("failed", "too late")
    assert other.verdict == "equal"  # there is none to be identical to
