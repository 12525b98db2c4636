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
