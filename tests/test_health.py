"""Long runs and many runs take no more memory, files and threads than short and few ones."""

import os
import threading
from pathlib import Path

import pytest

from kerasmlp.callbacks import ProgressLine
from kerasmlp.runs.settings import Settings
from kerasmlp.train import train

pytestmark = pytest.mark.thorough


def resident():
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_thousand_epochs(npz, tmp_path, monkeypatch):
    after = []
    hook = ProgressLine.on_epoch_end

    def on_epoch_end(self, epoch, logs=None):
        hook(self, epoch, logs)
        after.append((resident(), open_files(), threading.active_count()))

    monkeypatch.setattr(ProgressLine, "on_epoch_end", on_epoch_end)
    train(Settings(data=str(npz), batch_size=8, validation_size=8, epochs=1000, logdir=tmp_path))
    assert len(after) == 1000
    assert after[-1][0] < 1.01 * after[499][0]
    assert after[-1][1:] == after[499][1:]


def test_many_runs(npz, tmp_path):
    after = []
    for _ in range(5):
        train(Settings(data=str(npz), batch_size=8, validation_size=8, epochs=1, logdir=tmp_path))
        after.append((open_files(), threading.active_count()))
    assert after[-1] == after[1]
